// How things are said on the board, and how nodes are made. Whatever comes from the server is put into the page as
// text, never as HTML.

export const $ = (id) => document.getElementById(id);

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

// element makes a node; children that are no nodes become text.
export function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== '' && child !== null && child !== undefined));
  return node;
}

// Formats are made once: that takes longer than using them a hundred times.
const minutes = new Intl.DateTimeFormat([], {hour: '2-digit', minute: '2-digit', hourCycle: 'h23'});
const full = new Intl.DateTimeFormat([], {hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'});
const day = new Intl.DateTimeFormat([], {month: 'short', day: 'numeric'});

export function clock(iso, seconds = false) {
  if (!iso) return '';
  const at = new Date(iso);
  const time = (seconds ? full : minutes).format(at);
  return at.toDateString() === new Date().toDateString() ? time : `${day.format(at)} ${time}`;
}

export function span(seconds) {
  const s = Math.abs(Math.round(seconds));
  if (s < 100) return `${s} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d`;
}

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat([], {notation: 'compact', maximumSignificantDigits: 3});

export const number = (n) => whole.format(Math.round(n));
export const brief = (n) => (Math.abs(n) < 10000 ? whole.format(Math.round(n)) : short.format(n));

export const isOpen = (run) => run.state === 'planned' || run.state === 'warming';

// finish is when a run was ready, or is expected to be; null: that is not known.
export function finish(run) {
  if (run.state === 'ready') return run.ready_at;
  if (!isOpen(run)) return null;
  if (run.verdict && run.verdict.finish) return run.verdict.finish;
  return run.eta_seconds === null ? null : new Date(Date.now() + run.eta_seconds * 1000).toISOString();
}

// trouble is how much somebody is needed: 3 failed or late, 2 expected to be late, 1 at risk, 0 none.
export function trouble(run) {
  if (run.state === 'failed') return 3;
  if (!isOpen(run)) return 0;
  if (run.deadline && Date.parse(run.deadline) < Date.now()) return 3;
  if (run.verdict && run.verdict.state === 'infeasible') return 2;
  return run.verdict && run.verdict.state === 'at risk' ? 1 : 0;
}

export function fraction(run) {
  if (run.state === 'ready') return 1;
  return run.rows_estimated > 0 ? Math.min(run.rows_done / run.rows_estimated, isOpen(run) ? 0.99 : 1) : 0;
}

export function loaded(run) {
  if (run.state === 'skipped') return '';
  return run.state === 'ready' ? `${number(run.rows_done)} rows` : `${number(run.rows_done)} of ${number(run.rows_estimated)} rows`;
}

// margin says how long before its deadline a run was or will be ready.
export function margin(run) {
  const seconds = run.margin_seconds !== null ? run.margin_seconds : run.verdict ? run.verdict.margin_seconds : null;
  if (seconds === null) return '';
  return seconds < 0 ? `${span(seconds)} late` : `${span(seconds)} early`;
}

export function note(run) {
  if (run.state === 'failed') return run.last_error || run.waits_for;
  if (isOpen(run) && trouble(run) > 0 && run.verdict) return run.verdict.reason;
  if (run.waits_for) return `waits for ${run.waits_for}`;
  return run.reason;
}

// stateOf is what is said of a run's state in one word or two.
export function stateOf(run) {
  if (isOpen(run) && run.paused) return 'paused';
  if (run.state === 'ready' && run.late) return 'ready, late';
  return run.state;
}
