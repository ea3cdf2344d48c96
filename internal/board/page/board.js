// The board: takes what the server says by itself and shows the evening, or one run of it.
import {$, clock, element, text} from './text.js';
import {api, listen} from './server.js';
import {showLanes} from './lanes.js';
import {remember, showHistory, showPods, showSummary, showWidth} from './width.js';
import {offerAll, offerWidth} from './ask.js';
import {follow, open} from './run.js';

const board = {runs: new Map(), switches: [], width: null, operator: false};
let shownRun = null;

// take puts an event into what is known.
function take(name, event) {
  if (name === 'tonight') {
    board.runs = new Map();
  }
  for (const run of event.runs || []) board.runs.set(run.run_id, run);
  for (const id of event.gone || []) board.runs.delete(id);
  board.width = event.width || board.width;
  board.switches = event.switches || board.switches;
  remember(event.history, name === 'tonight');
  if (event.pods) showPods(event.pods);
  if (event.alerts) showAlerts(event.alerts);
  $('more').hidden = !event.more;
}

function showAlerts(alerts) {
  $('alerts').hidden = alerts.length === 0;
  $('alerts').querySelector('ul').replaceChildren(...alerts.slice(0, 8).map((alert) => {
    const summary = alert.run_id ? element('a', '', alert.summary) : element('span', '', alert.summary);
    if (alert.run_id) summary.href = `#run/${encodeURIComponent(alert.run_id)}`;
    const over = alert.state === 'resolved';
    return element('li', `alert ${over ? 'over' : alert.severity}`, element('time', '', clock(alert.since, true)), element('b', '', over ? 'over' : alert.severity),
      ' ', summary, !over && alert.remedy ? element('span', 'quiet', ` ${alert.remedy}`) : '');
  }));
}

function showPauses() {
  const all = board.switches.find((s) => s.scope === 'all');
  const shops = board.switches.filter((s) => s.scope === 'shop').map((s) => s.id);
  const datasets = board.switches.filter((s) => s.scope === 'dataset').map((s) => `${s.id} (${s.who}: ${s.reason || 'no reason was given'})`);
  const said = [all && `Everything is paused by ${all.who} since ${clock(all.since)}: ${all.reason || 'no reason was given'}.`,
    shops.length && `Switched off: ${shops.length === 1 ? 'shop' : 'shops'} ${shops.join(', ')}.`,
    datasets.length && `Stopped in all shops: ${datasets.join(', ')}.`];
  $('paused').hidden = !board.switches.some((s) => s.scope !== 'run');
  text($('paused'), said.filter(Boolean).join(' '));
}

function render() {
  showSummary(board.width);
  if (shownRun) {
    follow(board);
    return;
  }
  showPauses();
  showLanes(board.runs);
  if (board.width) showWidth(board.width);
  showHistory();
  if (board.operator) {
    offerAll(board.switches);
    if (board.width) offerWidth(board.width);
  }
}

function connected(state, message) {
  $('live').className = state;
  text($('live-text'), message);
}

function heard(name, event) {
  if (name === 'trouble') {
    connected('lost', 'connected');
    text($('trouble'), `The evening cannot be read: ${event.detail}`);
    $('trouble').hidden = false;
    return;
  }
  $('trouble').hidden = true;
  connected('on', 'live');
  const began = performance.now();
  take(name, event);
  render();
  performance.measure(`board-${name}`, {start: began});
}

function lost(since) {
  connected('lost', `no connection since ${clock(new Date(since).toISOString(), true)}; trying again`);
}

// route shows what the address names: #run/ID, or the evening.
function route() {
  const [what, id] = location.hash.slice(1).split('/');
  shownRun = what === 'run' && id ? decodeURIComponent(id) : null;
  $('evening').hidden = shownRun !== null;
  $('run').hidden = shownRun === null;
  document.title = shownRun ? 'prewarm: a run' : 'prewarm';
  open(shownRun, board);
  if (!shownRun) render();
}

async function start() {
  let me = null;
  while (!me) {
    me = await api('GET', '/v1/me').catch(() => null);
    if (!me) {
      lost(Date.now());
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
  board.operator = me.role === 'operator';
  $('logout').hidden = !me.logins;
  text($('who'), `${me.name} (${me.role})`);
  addEventListener('hashchange', route);
  $('search').addEventListener('input', () => showLanes(board.runs));
  $('state').addEventListener('change', () => showLanes(board.runs));
  route();
  listen(heard, lost);
}

start();
