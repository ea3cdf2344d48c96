// What is asked of the server, and what it says by itself.

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function api(method, path, body) {
  const init = {method, headers: {Accept: 'application/json'}, signal: AbortSignal.timeout(30000)};
  if (body !== undefined) {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, init);
  } catch (err) {
    throw new Problem(0, `prewarm does not answer (${err.message})`);
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  if (answer.status === 401) location.reload(); // the session is over: the server shows the login
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, [problem.detail, ...(problem.errors || []).map((e) => e.message)].filter(Boolean).join('; ') ||
    `the server answered ${answer.status}`);
}

const SILENT = 10000; // ms without an event after which a connection is not believed any more
const AGAIN = 2000; // ms before another is tried

// listen keeps a stream of events open. heard gets each event; lost is told since when nothing was heard.
export function listen(heard, lost) {
  let stream;
  let last = Date.now();
  const open = () => {
    stream = new EventSource('/v1/events');
    for (const name of ['tonight', 'change', 'trouble']) {
      stream.addEventListener(name, (event) => {
        last = Date.now();
        heard(name, JSON.parse(event.data));
      });
    }
    stream.addEventListener('error', () => lost(last));
  };
  open();
  let checked = Date.now();
  setInterval(() => {
    const slept = Date.now() - checked > 3 * AGAIN; // the machine did, or the page was in the background
    checked = Date.now();
    if (stream.readyState === EventSource.CLOSED || slept || Date.now() - last > SILENT) {
      lost(last);
      stream.close();
      last = Math.max(last, Date.now() - SILENT + 2 * AGAIN); // time for the next one to say something
      api('GET', '/v1/me').catch(() => {}); // shows the login if that is why
      open();
    }
  }, AGAIN);
}
