// The board: asks the API every two seconds and keeps the table as it answers. Everything that comes from the API is
// put into the page as text, never as HTML.
'use strict';

const POLL = 2000; // ms between questions
const SHOWN = 500; // most runs that are shown
const PAST = 6 * 3600 * 1000; // ms after its end that a broadcast is still shown

const $ = (id) => document.getElementById(id);
const rows = new Map(); // run id -> its row
let me = null; // who looks at the page; null: not logged in
let runs = [];
let heard = 0; // when the API last answered
let rounds = 0;

class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function api(method, path, body) {
  const init = {method, headers: {Accept: 'application/json'}, signal: AbortSignal.timeout(15000)};
  if (body !== undefined) {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  const answer = await fetch(path, init);
  if (answer.ok) {
    return answer.status === 204 ? null : answer.json();
  }
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, problem.detail || `the server answered ${answer.status}`);
}

// --- what is shown -------------------------------------------------------------------------------------------------

function text(node, value) {
  if (node.textContent !== value) {
    node.textContent = value;
  }
}

function element(tag, className, content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (content) node.textContent = content;
  return node;
}

function clock(iso) {
  if (!iso) return '';
  const at = new Date(iso);
  const time = at.toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'});
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString()} ${time}`;
}

function span(seconds) {
  const s = Math.abs(Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
}

function margin(run) {
  if (run.margin_seconds !== null) {
    return run.margin_seconds < 0 ? `${span(run.margin_seconds)} late` : span(run.margin_seconds);
  }
  return run.eta_seconds === null ? '' : `ready in ${span(run.eta_seconds)}`;
}

function note(run) {
  if (run.state === 'failed') return run.last_error || run.waits_for;
  if (run.waits_for) return `waits for ${run.waits_for}`;
  return run.reason;
}

function count(run) {
  const done = run.rows_done.toLocaleString();
  return run.state === 'ready' ? `${done} rows` : `${done} of about ${run.rows_estimated.toLocaleString()} rows`;
}

function fraction(run) {
  if (run.state === 'ready') return 1;
  return run.rows_estimated > 0 ? Math.min(run.rows_done / run.rows_estimated, 1) : 0;
}

const CELLS = ['Shop', 'Broadcast', 'Starts', 'State', 'Progress', 'Deadline', 'Margin', 'Note', 'Actions'];

const ACTIONS = {
  retry: {label: 'Retry', states: ['failed'], ask: 'Take this run up where it stopped?'},
  restart: {label: 'Restart', states: ['ready', 'failed', 'cancelled', 'skipped'], ask: 'Begin this run from scratch?'},
  pause: {label: 'Pause', states: ['planned', 'warming'], when: (run) => !run.paused, ask: 'Stop this run at its next page, until it is resumed?'},
  // A shop or everything that is paused is not resumed by one of its runs.
  resume: {label: 'Resume', states: ['planned', 'warming'], when: (run) => run.paused.startsWith('run '), ask: 'Let this run go on from where it stopped?'},
  cancel: {label: 'Cancel', states: ['planned', 'warming', 'failed'], ask: 'Call this run off?'},
};

function newRow(run) {
  const tr = element('tr');
  const cells = {};
  for (const name of CELLS) {
    const td = element('td', name.toLowerCase());
    td.dataset.label = name;
    cells[name] = td;
    tr.append(td);
  }
  cells.Shop.textContent = run.shop_id;
  cells.Broadcast.textContent = run.broadcast_id;
  const state = element('span', 'state');
  const late = element('span', 'late', ' late');
  cells.State.append(state, late);
  const bar = element('progress');
  bar.max = 1;
  bar.setAttribute('aria-label', `Progress of shop ${run.shop_id}`);
  const count = element('span', 'rows');
  const loaded = element('div');
  loaded.append(bar, count);
  cells.Progress.append(loaded);
  const row = {tr, cells, state, late, bar, count, buttons: {}};
  const buttons = element('div');
  for (const [verb, action] of Object.entries(ACTIONS)) {
    const button = element('button', '', action.label);
    button.type = 'button';
    button.setAttribute('aria-label', `${action.label} the run of shop ${run.shop_id}, broadcast ${run.broadcast_id}`);
    button.addEventListener('click', () => act(verb, run, button));
    row.buttons[verb] = button;
    buttons.append(button);
  }
  cells.Actions.append(buttons);
  return row;
}

function update(row, run) {
  text(row.state, run.state);
  row.state.className = `state ${run.state}`;
  row.late.hidden = !run.late;
  text(row.cells.Starts, clock(run.starts_at));
  text(row.cells.Deadline, clock(run.deadline));
  text(row.cells.Margin, margin(run));
  row.cells.Margin.classList.toggle('late', run.late);
  row.bar.value = fraction(run);
  row.bar.parentNode.hidden = run.state === 'skipped';
  text(row.count, count(run));
  text(row.cells.Note, note(run));
  row.cells.Note.classList.toggle('error', run.state === 'failed');
  for (const [verb, button] of Object.entries(row.buttons)) {
    const {states, when = () => true} = ACTIONS[verb];
    button.hidden = me.role !== 'operator' || !states.includes(run.state) || !when(run);
  }
}

function matches(run) {
  const wanted = $('search').value.trim();
  const state = $('state').value;
  return (!state || run.state === state) && (run.shop_id.includes(wanted) || run.broadcast_id.includes(wanted));
}

// show puts runs into the table: those that need somebody first, then by deadline. Rows stay the same elements, so that
// neither the focus nor a press on a button gets lost.
function show() {
  const urgency = (run) => (run.state === 'failed' ? 0 : 1);
  const wanted = runs.filter(matches)
    .sort((a, b) => urgency(a) - urgency(b) || String(a.deadline).localeCompare(String(b.deadline)) || (a.run_id < b.run_id ? -1 : 1));
  const body = $('runs').tBodies[0];
  const keep = new Set(wanted.map((run) => run.run_id));
  for (const [id, row] of rows) {
    if (!keep.has(id)) {
      row.tr.remove();
      rows.delete(id);
    }
  }
  wanted.forEach((run, i) => {
    if (!rows.has(run.run_id)) rows.set(run.run_id, newRow(run));
    const row = rows.get(run.run_id);
    update(row, run);
    if (body.children[i] !== row.tr) body.insertBefore(row.tr, body.children[i] || null);
  });
  $('empty').hidden = runs.length > 0;
  totals();
}

function totals() {
  const count = {};
  for (const run of runs) count[run.state] = (count[run.state] || 0) + 1;
  $('totals').replaceChildren(...Object.keys(count).sort().map((state) => {
    const li = element('li', '', `${count[state]} `);
    li.append(element('span', `state ${state}`, state));
    return li;
  }));
}

function showAlerts(list) {
  const box = $('alerts');
  box.hidden = list.length === 0;
  box.querySelector('ul').replaceChildren(...list.slice(0, 5).map((alert) => {
    const li = element('li');
    li.append(element('time', '', clock(alert.at)), element('span', '', alert.summary));
    return li;
  }));
}

// --- what is asked -------------------------------------------------------------------------------------------------

async function poll() {
  if (!document.hidden && me) {
    try {
      await refresh();
      heard = Date.now();
      $('offline').hidden = true;
    } catch (err) {
      if (err.status === 401) return start();
      $('offline').hidden = false;
      text($('offline'), `No answer since ${heard ? clock(new Date(heard).toISOString()) : 'the page was opened'}: ${err.message}`);
    }
  }
  setTimeout(poll, POLL);
}

async function refresh() {
  const since = new Date(Date.now() - PAST).toISOString();
  const list = await api('GET', `/v1/runs?limit=${SHOWN}&ends_after=${encodeURIComponent(since)}`);
  runs = list.runs;
  $('more').hidden = !list.next;
  show();
  if (rounds++ % 5 === 0) {
    const [width, alerts] = await Promise.all([api('GET', '/v1/width'), api('GET', '/v1/alerts')]);
    text($('width'), `${width.actual} of ${width.width} slots in use on ${width.pods} ${width.pods === 1 ? 'pod' : 'pods'}`);
    $('width').title = width.reason;
    showAlerts(alerts.alerts);
  }
}

function confirmed(question) {
  const dialog = $('ask');
  text($('question'), question);
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), {once: true});
  });
}

let silence;
function say(message) {
  clearTimeout(silence);
  text($('said'), message);
  silence = setTimeout(() => text($('said'), ''), 8000);
}

async function act(verb, run, button) {
  if (!await confirmed(`${ACTIONS[verb].ask} Shop ${run.shop_id}, broadcast ${run.broadcast_id}.`)) return;
  button.disabled = true;
  try {
    const now = await api('POST', `/v1/runs/${encodeURIComponent(run.run_id)}/${verb}`);
    say(`Shop ${run.shop_id}: ${verb} done, the run is ${now.state}.`);
    await refresh();
  } catch (err) {
    say(`Shop ${run.shop_id}: ${verb} failed: ${err.message}`);
  } finally {
    button.disabled = false;
  }
}

async function warm(event) {
  event.preventDefault();
  const shop = $('shop').value.trim();
  if (!shop || !await confirmed(`Warm shop ${shop} now, for a broadcast of four hours?`)) return;
  try {
    const outcome = await api('POST', `/v1/shops/${encodeURIComponent(shop)}/warm`, {});
    say(`Shop ${shop}: ${outcome.outcome}${outcome.reason ? `, ${outcome.reason}` : ''}.`);
    $('warm').reset();
    await refresh();
  } catch (err) {
    say(`Shop ${shop}: ${err.message}`);
  }
}

// --- who asks ------------------------------------------------------------------------------------------------------

async function login(event) {
  event.preventDefault();
  text($('login-error'), '');
  try {
    await api('POST', '/login', {token: $('token').value.trim()});
  } catch (err) {
    text($('login-error'), err.message);
    return;
  }
  $('login').reset();
  const next = new URLSearchParams(location.search).get('next');
  if (next && next.startsWith('/asynqmon/')) {
    location.assign(next);
    return;
  }
  start();
}

async function logout() {
  await api('POST', '/logout').catch(() => {});
  location.assign('/');
}

// start finds out who looks at the page and begins to poll, or asks for a token.
async function start() {
  me = null;
  try {
    me = await api('GET', '/v1/me');
  } catch (err) {
    if (err.status !== 401) {
      $('offline').hidden = false;
      text($('offline'), `No answer: ${err.message}`);
      setTimeout(start, POLL);
      return;
    }
  }
  $('login').hidden = me !== null;
  $('board').hidden = me === null;
  $('logout').hidden = me === null || !me.logins;
  $('warm').hidden = me === null || me.role !== 'operator';
  text($('who'), me ? `${me.name} (${me.role})` : '');
  if (me) {
    poll();
  } else {
    $('token').focus();
  }
}

$('login').addEventListener('submit', login);
$('logout').addEventListener('click', logout);
$('warm').addEventListener('submit', warm);
$('search').addEventListener('input', show);
$('state').addEventListener('change', show);
start();
