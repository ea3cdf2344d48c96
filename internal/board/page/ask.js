// What operators can do. Each asks first, says what it will do, and wants a reason; who did it is recorded.
import {$, element, isOpen, text} from './text.js';
import {api} from './server.js';

let silence;
export function say(message) {
  clearTimeout(silence);
  text($('said'), message);
  silence = setTimeout(() => text($('said'), ''), 10000);
}

function field(label, id, attributes) {
  const input = element('input');
  input.id = id;
  Object.assign(input, attributes);
  return element('label', '', `${label} `, input);
}

let current = null;

// ask shows the dialog of an action: {title, text, yes, fields, do(reason), done(answer)}. It stays open if the server
// refuses, with what it said.
export function ask(action) {
  current = action;
  text($('ask-head'), action.title);
  text($('ask-text'), action.text);
  text($('ask-yes'), action.yes);
  text($('ask-error'), '');
  $('ask-form').reset();
  $('ask-fields').replaceChildren(...(action.fields || []).map((f) => field(f.label, f.id, f.attributes)));
  $('ask').showModal();
  (($('ask-fields').querySelector('input')) || $('ask-reason')).focus();
}

async function confirmed(event) {
  event.preventDefault();
  const action = current;
  $('ask-yes').disabled = true;
  try {
    const answer = await action.do($('ask-reason').value.trim());
    $('ask').close();
    say(action.done(answer));
  } catch (err) {
    text($('ask-error'), err.message);
  } finally {
    $('ask-yes').disabled = false;
  }
}

$('ask-form').addEventListener('submit', confirmed);
$('ask-no').addEventListener('click', () => $('ask').close());

const RUN = {
  retry: {label: 'Retry', when: (run) => run.state === 'failed', text: 'The failed units begin again where they stopped.'},
  restart: {label: 'Restart', when: (run) => !isOpen(run) || run.state === 'warming', text: 'All of it is loaded again from the beginning, at once. What is in the cache stays until it is written again.'},
  pause: {label: 'Pause', when: (run) => isOpen(run) && !run.paused, text: 'It stops at its next page, until it is resumed. Its deadline does not move.'},
  resume: {label: 'Resume', when: (run) => isOpen(run) && run.paused.startsWith('run '), text: 'It goes on from where it stopped.'},
  cancel: {label: 'Cancel', when: (run) => isOpen(run) || run.state === 'failed', text: 'It is called off. What was written stays in the cache until it expires.'},
};

function button(label, press) {
  const node = element('button', '', label);
  node.type = 'button';
  node.addEventListener('click', press);
  return node;
}

const buttonsOf = new Map(); // container -> what it offers, as text: buttons are made anew only when that changes

function offer(box, key, buttons) {
  if (buttonsOf.get(box) === key) return;
  buttonsOf.set(box, key);
  box.replaceChildren(...buttons());
}

// offerRun shows what can be done with a run.
export function offerRun(run, after) {
  const verbs = Object.keys(RUN).filter((verb) => RUN[verb].when(run));
  offer($('run-actions'), `${run.run_id} ${verbs}`, () => verbs.map((verb) => button(`${RUN[verb].label}…`, () => ask({
    title: `${RUN[verb].label} shop ${run.shop_id}, broadcast ${run.broadcast_id}?`,
    text: RUN[verb].text,
    yes: RUN[verb].label,
    do: (reason) => api('POST', `/v1/runs/${encodeURIComponent(run.run_id)}/${verb}`, {reason}),
    done: (now) => {
      after(now);
      return `Shop ${run.shop_id}: ${verb} done, the run is ${now.stage}.`;
    },
  }))));
}

const warm = {
  title: 'Warm a shop now?',
  text: 'It is loaded at once, in the urgent lane, for a broadcast that begins now. Small shops too.',
  yes: 'Warm it',
  fields: [
    {label: 'Shop', id: 'warm-shop', attributes: {required: true, autocomplete: 'off'}},
    {label: 'Hours until the broadcast ends', id: 'warm-hours', attributes: {type: 'number', min: 0.5, max: 48, step: 0.5, value: 4, required: true}},
  ],
  do: (reason) => {
    const ends = new Date(Date.now() + Number($('warm-hours').value) * 3600000).toISOString();
    return api('POST', `/v1/shops/${encodeURIComponent($('warm-shop').value.trim())}/warm`, {ends_at: ends, reason});
  },
  done: (o) => `Shop ${o.shop_id}: ${o.outcome}${o.reason ? `, ${o.reason}` : ''}.`,
};

const pauseAll = {
  title: 'Pause everything?', yes: 'Pause everything',
  text: 'All work stops at its next page, also of broadcasts that are announced later, until it is resumed. Deadlines do not move.',
  do: (reason) => api('POST', '/v1/pause', {reason}), done: () => 'Everything is paused.',
};

const resumeAll = {
  title: 'Resume everything?', yes: 'Resume', text: 'Work goes on from where it stopped. Shops and runs that were paused by themselves stay paused.',
  do: (reason) => api('POST', '/v1/resume', {reason}), done: () => 'Everything goes on.',
};

const resumeDataset = (s) => ({
  title: `Resume dataset ${s.id}?`, yes: 'Resume', text: `It was stopped in all shops by ${s.who}: ${s.reason || 'no reason was given'}. It goes on from where it stopped; `
    + 'if the database still reads far more rows than it returns, it is stopped again.',
  do: (reason) => api('POST', `/v1/datasets/${encodeURIComponent(s.id)}/resume`, {reason}), done: () => `Dataset ${s.id} goes on.`,
});

// offerAll shows what can be done with everything, and with what is stopped.
export function offerAll(switches) {
  const paused = switches.some((s) => s.scope === 'all');
  const stopped = switches.filter((s) => s.scope === 'dataset');
  offer($('all-actions'), JSON.stringify([paused, stopped]), () => [
    button('Warm a shop…', () => ask(warm)),
    paused ? button('Resume everything…', () => ask(resumeAll)) : button('Pause everything…', () => ask(pauseAll)),
    ...stopped.map((s) => button(`Resume dataset ${s.id}…`, () => ask(resumeDataset(s)))),
  ]);
}

// switchOff pauses a shop, also for broadcasts to come; switchOn lets it go on.
export function offerShop(box, shop, switches, after) {
  const off = switches.some((s) => s.scope === 'shop' && s.id === shop);
  const path = `/v1/shops/${encodeURIComponent(shop)}`;
  offer(box, `${shop} ${off}`, () => [off ?
    button(`Switch shop ${shop} on…`, () => ask({
      title: `Switch shop ${shop} on?`, yes: 'Switch on', text: 'Its runs go on from where they stopped.',
      do: (reason) => api('POST', `${path}/resume`, {reason}), done: () => { after(); return `Shop ${shop} goes on.`; },
    })) :
    button(`Switch shop ${shop} off…`, () => ask({
      title: `Switch shop ${shop} off?`, yes: 'Switch off',
      text: 'Nothing of it is loaded until it is switched on again: its runs stop at their next page, also those that are announced later.',
      do: (reason) => api('POST', `${path}/pause`, {reason}), done: () => { after(); return `Shop ${shop} is switched off.`; },
    }))]);
}

export function offerWidth(width) {
  offer($('width-actions'), `${width.min} ${width.max} ${Boolean(width.override)}`, () => {
    const pin = button('Pin the width…', () => ask({
      title: 'Pin the width?', yes: 'Pin it',
      text: `The cluster uses this many slots whatever the deadlines need; when the servers suffer, the guard still takes slots away. Between ${width.min} and ${width.max}.`,
      fields: [
        {label: 'Slots', id: 'pin-slots', attributes: {type: 'number', min: width.min, max: width.max, value: width.width, required: true}},
        {label: 'For minutes', id: 'pin-minutes', attributes: {type: 'number', min: 1, max: 1440, value: 30, required: true}},
      ],
      do: (reason) => api('PUT', '/v1/width', {pin: Number($('pin-slots').value), for: `${Number($('pin-minutes').value)}m`, reason}),
      done: (now) => `The width is pinned to ${now.override ? now.override.pin : 'nothing'}.`,
    }));
    const free = button('End what is set…', () => ask({
      title: 'Give the width back?', yes: 'End it', text: 'The deadlines and the servers decide the width again.',
      do: (reason) => api('DELETE', `/v1/width/override?reason=${encodeURIComponent(reason)}`), done: () => 'The width follows the deadlines again.',
    }));
    return width.override ? [pin, free] : [pin];
  });
}
