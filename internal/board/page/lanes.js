// The evening as lanes: one per broadcast, those in trouble first.
import {$, clock, element, finish, fraction, isOpen, loaded, margin, note, stateOf, text, trouble} from './text.js';

const HALF_HOUR = 1800000; // ms
const PAST = 2 * 3600000; // ms before now that the axis shows at most
const COMING = 8 * 3600000; // ms after now

const lanes = new Map(); // run id -> its lane
let range = {from: 0, to: 1};

const at = (iso) => (iso ? Date.parse(iso) : null);

// rangeOf is what the axis covers, in whole half hours, so that it seldom changes.
function rangeOf(runs, now) {
  let from = now - HALF_HOUR / 2;
  let to = now + HALF_HOUR;
  for (const run of runs) {
    from = Math.min(from, at(run.started_at) || at(run.planned_start) || now);
    to = Math.max(to, at(run.ends_at) || now);
  }
  from = Math.max(from, now - PAST);
  to = Math.min(to, now + COMING);
  return {from: Math.floor(from / HALF_HOUR) * HALF_HOUR, to: Math.ceil(to / HALF_HOUR) * HALF_HOUR};
}

const percent = (time) => 100 * (Math.min(Math.max(time, range.from), range.to) - range.from) / (range.to - range.from);

function place(node, from, to) {
  const shown = from !== null && to !== null && to >= range.from && from <= range.to;
  node.hidden = !shown;
  if (!shown) return;
  node.style.left = `${percent(from)}%`;
  node.style.width = `${Math.max(percent(to) - percent(from), 0.3)}%`;
}

function mark(node, time) {
  node.hidden = time === null || time < range.from || time > range.to;
  if (!node.hidden) node.style.left = `${percent(time)}%`;
}

function drawAxis() {
  const hours = (range.to - range.from) / 3600000;
  const step = hours > 5 ? 2 * HALF_HOUR : HALF_HOUR;
  const ticks = [];
  for (let t = Math.floor(range.from / step + 1) * step; t < range.to; t += step) {
    const tick = element('span', 'tick', clock(new Date(t).toISOString()).split(' ').pop());
    tick.style.left = `${percent(t)}%`;
    ticks.push(tick);
  }
  $('axis').replaceChildren(...ticks);
}

function newLane(run) {
  const li = element('li', 'lane');
  const name = element('a', 'name', element('b', '', run.shop_id), ' ', element('span', 'quiet', run.broadcast_id));
  name.href = `#run/${encodeURIComponent(run.run_id)}`;
  const part = (className) => element('i', className);
  const [air, work, done, deadline] = ['window', 'work', 'done', 'deadline'].map(part);
  const track = element('div', 'track', air, work, done, deadline);
  track.setAttribute('aria-hidden', 'true');
  const cell = (className, label) => {
    const value = element('span');
    li.append(element('span', className, element('span', 'label', `${label} `), value));
    return value;
  };
  li.append(name, track);
  const lane = {li, air, work, done, deadline, run: null, drawn: null,
    state: cell('state', 'State'), loaded: cell('loaded', 'Loaded'), due: cell('due', 'Deadline'), ready: cell('ready', 'Ready')};
  lane.note = element('span', 'note');
  li.append(lane.note);
  return lane;
}

// draw brings a lane up to date, unless nothing has changed that it shows.
function draw(lane, run) {
  if (lane.run === run && lane.drawn === range) return;
  lane.run = run;
  lane.drawn = range;
  const needed = trouble(run);
  lane.li.className = `lane ${run.state}${needed >= 2 ? ' bad' : needed === 1 ? ' risk' : ''}${run.late ? ' overdue' : ''}`;
  place(lane.air, at(run.starts_at), at(run.ends_at));
  const from = at(run.started_at) || at(run.planned_start);
  const end = finish(run);
  const to = at(end) || (isOpen(run) ? at(run.deadline) : run.state === 'failed' ? from : null);
  place(lane.work, run.state === 'skipped' ? null : from, to === null ? null : Math.max(to, from));
  lane.work.classList.toggle('late', needed >= 2 || run.late);
  place(lane.done, run.started_at ? from : null, to === null || from === null ? null : from + (Math.max(to, from) - from) * fraction(run));
  mark(lane.deadline, at(run.deadline));
  text(lane.state, stateOf(run));
  text(lane.loaded, run.state === 'skipped' ? '' : `${Math.floor(100 * fraction(run))} %`);
  lane.loaded.parentNode.title = loaded(run);
  text(lane.due, clock(run.deadline));
  text(lane.ready, end ? `${isOpen(run) ? '~' : ''}${clock(end)}, ${margin(run)}` : '');
  text(lane.note, note(run) || '');
}

function matches(run) {
  const wanted = $('search').value.trim();
  const state = $('state').value;
  const shown = !state || (state === 'trouble' ? trouble(run) >= 2 || run.late : run.state === state);
  return shown && (run.shop_id.includes(wanted) || run.broadcast_id.includes(wanted));
}

const order = (run) => (isOpen(run) || run.state === 'failed' ? 9 - trouble(run) : 10);

// arrange puts the lanes into an order while moving few of them: the focus stays where it is.
function arrange(list, nodes) {
  let next = list.firstElementChild;
  for (const node of nodes) {
    if (next !== node && next && next.nextElementSibling === node) {
      const misplaced = next;
      next = node;
      misplaced.remove();
    }
    if (next === node) {
      next = node.nextElementSibling;
    } else {
      list.insertBefore(node, next);
    }
  }
  while (next) {
    const over = next;
    next = next.nextElementSibling;
    over.remove();
  }
}

export function showLanes(runs) {
  const now = Date.now();
  const all = [...runs.values()];
  const fresh = rangeOf(all, now);
  if (fresh.from !== range.from || fresh.to !== range.to) {
    range = fresh;
    drawAxis();
  }
  const list = $('lanes');
  list.parentNode.style.setProperty('--now', `${percent(now)}%`);
  const wanted = all.filter(matches).map((run) => ({run, order: order(run)}))
    .sort((a, b) => a.order - b.order || (a.run.deadline || '').localeCompare(b.run.deadline || '') || (a.run.run_id < b.run.run_id ? -1 : 1));
  arrange(list, wanted.map(({run}) => {
    if (!lanes.has(run.run_id)) lanes.set(run.run_id, newLane(run));
    const lane = lanes.get(run.run_id);
    draw(lane, run);
    return lane.li;
  }));
  for (const id of lanes.keys()) {
    if (!runs.has(id)) lanes.delete(id);
  }
  $('empty').hidden = all.length > 0;
  showTotals(all);
}

function showTotals(all) {
  const count = new Map();
  for (const run of all) count.set(run.state, (count.get(run.state) || 0) + 1);
  const late = all.filter((run) => trouble(run) >= 2 && run.state !== 'failed').length;
  const items = [...count.keys()].sort().map((state) => element('li', '', `${count.get(state)} `, element('span', `word ${state}`, state)));
  if (late) items.unshift(element('li', '', `${late} `, element('span', 'word bad', 'late or going to be')));
  $('totals').replaceChildren(...items);
}
