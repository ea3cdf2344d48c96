// One run: its units, what happened, what went wrong, and what can be done.
import {$, clock, element, finish, fraction, loaded, margin, number, span, stateOf, text} from './text.js';
import {api} from './server.js';
import {offerRun, offerShop} from './ask.js';

let id = null;
let asked = 0; // the newest question; answers to older ones are dropped
let shown = ''; // the run as it was when it was last asked for

function facts(run) {
  const at = (iso) => (iso ? clock(iso, true) : '');
  const end = finish(run);
  return [
    ['Broadcast', `${at(run.starts_at)} to ${at(run.ends_at)}`],
    ['Deadline', at(run.deadline)],
    ['Planned start', at(run.planned_start)],
    ['Started', at(run.started_at)],
    [run.state === 'ready' ? 'Ready' : 'Expected', end ? `${at(end)}, ${margin(run)}` : ''],
    ['Verdict', run.verdict ? `${run.verdict.state}: ${run.verdict.reason}` : ''],
    ['What would help', run.verdict ? run.verdict.remedy : ''],
    ['Waits for', run.waits_for],
    ['Reason', run.reason],
    ['Lane', run.urgent ? 'urgent' : ''],
    ['Epoch, attempts', `${run.epoch}, ${run.attempts}`],
    ['Units', `${run.units_done} of ${run.units_total} done${run.units_failed ? `, ${run.units_failed} failed` : ''}`],
    ['Run', run.run_id],
  ].filter(([, value]) => value);
}

function bounds(unit) {
  const read = (key) => (key ? JSON.parse(key).join(', ') : '');
  if (!unit.from && !unit.to) return 'all';
  return `${unit.from ? `after ${read(unit.from)}` : 'from the first'}${unit.to ? ` to ${read(unit.to)}` : ''}`;
}

function unitRow(unit) {
  return element('tr', '', element('th', '', String(unit.unit)), element('td', '', unit.dataset),
    element('td', '', element('span', `word ${unit.state}`, unit.state)),
    element('td', '', `${number(unit.rows_done)} of ${number(unit.rows_estimated)}${unit.rejects ? `, ${number(unit.rejects)} rejected` : ''}`),
    element('td', '', bounds(unit)), element('td', '', String(unit.attempts)), element('td', '', unit.owner), element('td', 'error', unit.last_error));
}

function happened(event) {
  const what = event.stage.replaceAll('_', ' ');
  const unit = event.unit === null ? '' : ` unit ${event.unit}`;
  const scope = {shop: ' (the whole shop)', all: ' (everything)'}[event.scope] || '';
  return element('li', '', element('time', '', clock(event.at, true)), element('b', '', `${what}${unit}${scope}`),
    event.who ? ` by ${event.who}` : '', event.message ? element('span', 'quiet', ` ${event.message}`) : '');
}

function show(run, rejects, board) {
  text($('run-head'), `Shop ${run.shop_id}, broadcast ${run.broadcast_id}`);
  $('run-state').replaceChildren(element('span', `word ${run.state}`, stateOf(run)), run.paused ? ` ${run.paused}` : '');
  $('run-progress').value = fraction(run);
  text($('run-rows'), loaded(run) + (run.eta_seconds ? `, about ${span(run.eta_seconds)} left` : ''));
  text($('run-error'), run.last_error);
  $('run-facts').replaceChildren(...facts(run).map(([name, value]) => element('div', '', element('dt', '', name), element('dd', '', value))));
  $('run-units').replaceChildren(...run.units.map(unitRow));
  $('run-rejected').hidden = rejects.length === 0;
  $('run-rejects').replaceChildren(...rejects.map((r) => element('tr', '', element('th', '', String(r.unit)), element('td', '', r.dataset),
    element('td', '', r.row_key), element('td', 'error', r.error))));
  $('run-timeline').replaceChildren(...run.timeline.toReversed().map(happened));
  if (board.operator) {
    offerRun(run, () => refresh(board));
    offerShop($('shop-actions'), run.shop_id, board.switches, () => refresh(board));
  }
}

// refresh asks for the run and shows it.
export async function refresh(board) {
  const mine = ++asked;
  const wanted = id;
  try {
    const run = await api('GET', `/v1/runs/${encodeURIComponent(wanted)}`);
    const rejects = run.units.some((u) => u.rejects > 0) ? (await api('GET', `/v1/runs/${encodeURIComponent(wanted)}/rejects`)).rejects : [];
    if (mine !== asked) return;
    show(run, rejects, board);
    $('run-gone').hidden = true;
    $('run-body').hidden = false;
  } catch (err) {
    if (mine !== asked) return;
    text($('run-gone'), err.message);
    $('run-gone').hidden = false;
    $('run-body').hidden = err.status === 404;
  }
}

// open shows another run; null: none.
export function open(run, board) {
  id = run;
  asked++;
  shown = '';
  if (!id) return;
  text($('run-head'), 'A run');
  $('run-body').hidden = true;
  $('run-head').focus();
  follow(board);
}

// follow asks for the run again if the stream says that it has changed.
export function follow(board) {
  if (!id) return;
  const now = `${JSON.stringify(board.runs.get(id) || null)} ${JSON.stringify(board.switches)}`;
  if (now === shown) return;
  shown = now;
  refresh(board);
}
