// The width and why, the servers' health, and the pods.
import {$, brief, clock, element, span, text} from './text.js';
import {Chart} from './chart.js';

const one = new Intl.NumberFormat([], {maximumFractionDigits: 1});
let widthChart;
let rowsChart;
let samples = []; // {time, width, actual, demand, ceiling, rows, zone, why}
const speeds = new Map(); // pod -> {rows, seen, perSecond}

// remember takes samples in, each once; a whole history takes the place of what was there.
export function remember(history, fresh) {
  if (fresh) samples = [];
  let newest = samples.length ? samples[samples.length - 1].time : 0;
  let why = samples.length ? samples[samples.length - 1].why : '';
  for (const s of history || []) {
    const time = Date.parse(s.at);
    if (time <= newest) continue;
    why = s.reason || why;
    samples.push({...s, time, why});
    newest = time;
  }
  if (samples.length > 2000) samples = samples.filter((_, i) => i % 2 === 1);
}

export function showHistory() {
  widthChart ||= new Chart($('width-chart'), 'Width', [
    {name: 'width', key: 'width', className: 'width'}, {name: 'demand', key: 'demand', className: 'demand', clip: true},
    {name: 'ceiling', key: 'ceiling', className: 'ceiling', clip: true}], (v) => one.format(v));
  rowsChart ||= new Chart($('rows-chart'), 'Rows per second', [{name: 'rows/s', key: 'rows', className: 'rows'}], brief);
  widthChart.show(samples);
  rowsChart.show(samples);
  text($('since'), samples.length ? `As this pod has seen it since ${clock(samples[0].at, true)}. Shaded: the guard holds (light) or shrinks (dark).` : '');
}

export function showWidth(width) {
  text($('why'), `${width.width} wanted, ${width.actual} at work, ${width.ceiling} possible: ${width.reason}`);
  const set = width.override;
  $('override').hidden = !set;
  if (set) {
    const what = [set.pause && 'everything is held', set.pin && `pinned to ${set.pin}`, set.min && `at least ${set.min}`, set.max && `at most ${set.max}`];
    text($('override'), `Set by ${set.who}: ${what.filter(Boolean).join(', ')}, until ${clock(set.until, true)}. ${set.why}`);
  }
  const list = width.guard.map((s) => {
    const zone = element('span', `zone ${s.zone}`, s.blind ? 'not seen' : s.zone);
    return element('li', '', zone, element('b', '', s.signal), ' ', element('span', 'quiet', s.reason.startsWith(s.signal) ? s.reason.slice(s.signal.length + 1) : s.reason));
  });
  $('guard').replaceChildren(...(list.length ? list : [element('li', 'quiet', 'Nothing was heard of the leader yet.')]));
}

export function showPods(pods) {
  const now = Date.now();
  $('pods').replaceChildren(...pods.map((pod) => {
    const was = speeds.get(pod.pod);
    const seen = Date.parse(pod.seen_at);
    if (!was || seen > was.seen) {
      const perSecond = was ? Math.max((pod.rows_written - was.rows) / ((seen - was.seen) / 1000), 0) : 0;
      speeds.set(pod.pod, {rows: pod.rows_written, seen, perSecond});
    }
    return element('tr', '', element('th', '', pod.pod), element('td', '', String(pod.slots)), element('td', '', brief(speeds.get(pod.pod).perSecond)),
      element('td', '', pod.version), element('td', '', span((now - Date.parse(pod.started_at)) / 1000)));
  }));
}

export function showSummary(width) {
  const rows = samples.length ? samples[samples.length - 1].rows : 0;
  text($('summary'), width ? `${width.actual} of ${width.width} slots on ${width.pods} ${width.pods === 1 ? 'pod' : 'pods'}, ${brief(rows)} rows/s` : '');
}
