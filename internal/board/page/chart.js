// A chart over time as SVG: lines of steps, bands behind them, and a readout that follows the pointer or the arrow keys.
import {clock, element} from './text.js';

const HEIGHT = 170;
const DECISION = 2000; // ms from a sample to the next
const EDGE = {left: 44, right: 8, top: 8, bottom: 20};

function svg(tag, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// niceStep is 1, 2 or 5 times a power of ten, at least a fourth of the range.
function niceStep(range) {
  const power = 10 ** Math.floor(Math.log10(range / 4));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= range / 4);
}

// Chart draws into a figure. series: {name, key, className, clip}; one that is clipped does not stretch the scale.
export class Chart {
  constructor(figure, title, series, format) {
    Object.assign(this, {figure, title, series, format, samples: [], at: null});
    this.svg = svg('svg', {role: 'img', tabindex: '0', height: HEIGHT});
    this.readout = element('figcaption', 'readout');
    figure.append(this.svg, this.readout);
    this.svg.addEventListener('pointermove', (event) => this.point(event.offsetX));
    this.svg.addEventListener('pointerleave', () => this.choose(null));
    this.svg.addEventListener('blur', () => this.choose(null));
    this.svg.addEventListener('keydown', (event) => {
      const move = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (!move || !this.samples.length) return;
      event.preventDefault();
      const now = this.at === null ? this.samples.length : this.at;
      this.choose(Math.min(Math.max(now + move, 0), this.samples.length - 1));
    });
    new ResizeObserver(() => this.draw()).observe(figure);
  }

  show(samples) {
    this.samples = samples;
    this.draw();
  }

  x(at) {
    return EDGE.left + (this.width - EDGE.left - EDGE.right) * (at - this.from) / Math.max(this.to - this.from, 1);
  }

  y(value) {
    return HEIGHT - EDGE.bottom - (HEIGHT - EDGE.top - EDGE.bottom) * Math.min(value, this.top) / this.top;
  }

  draw() {
    const width = Math.floor(this.figure.clientWidth);
    if (!width) return; // it is not shown
    this.width = width;
    const samples = this.samples;
    this.svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    if (!samples.length) {
      this.svg.replaceChildren();
      this.readout.textContent = 'Nothing was seen yet.';
      return;
    }
    this.from = samples[0].time;
    const last = samples[samples.length - 1].time;
    this.to = Math.max(last, this.from + 60000);
    this.until = Math.min(this.to, last + DECISION); // what comes then is not known
    this.scale();
    const lines = this.series.map((one) => svg('path', {class: `line ${one.className}`, d: this.path(one.key)}));
    this.cursor = svg('path', {class: 'cursor'});
    this.svg.replaceChildren(...this.bands(), ...this.axes(), ...lines, this.cursor);
    this.choose(this.at !== null && this.at < samples.length ? this.at : null);
  }

  scale() {
    let top = 0;
    for (const one of this.series) {
      if (!one.clip) for (const s of this.samples) top = Math.max(top, s[one.key]);
    }
    for (const one of this.series) {
      const most = one.clip ? Math.max(...this.samples.map((s) => s[one.key])) : 0;
      if (most <= 2.5 * top) top = Math.max(top, most);
    }
    this.step = Math.max(niceStep(Math.max(top, 1) * 1.05), 1);
    this.top = Math.ceil(Math.max(top, 1) * 1.05 / this.step) * this.step;
  }

  path(key) {
    const points = [];
    let last = null;
    for (const s of this.samples) {
      const y = this.y(s[key]).toFixed(1);
      points.push(last === null ? `M${this.x(s.time).toFixed(1)} ${y}` : `H${this.x(s.time).toFixed(1)}${y === last ? '' : `V${y}`}`);
      last = y;
    }
    return `${points.join('')}H${this.x(this.until).toFixed(1)}`;
  }

  bands() {
    const bands = [];
    this.samples.forEach((s, i) => {
      if (!s.zone) return;
      const end = i + 1 < this.samples.length ? this.samples[i + 1].time : this.until;
      bands.push(svg('rect', {class: `band ${s.zone}`, x: this.x(s.time), y: EDGE.top, width: Math.max(this.x(end) - this.x(s.time), 1),
        height: HEIGHT - EDGE.top - EDGE.bottom}));
    });
    return bands;
  }

  axes() {
    const nodes = [];
    for (let v = 0; v <= this.top; v += this.step) {
      const label = svg('text', {x: EDGE.left - 6, y: this.y(v), dy: 4, 'text-anchor': 'end'});
      label.textContent = this.format(v);
      nodes.push(svg('path', {class: 'grid', d: `M${EDGE.left} ${this.y(v)}H${this.width - EDGE.right}`}), label);
    }
    const count = Math.max(Math.floor(this.width / 130), 2);
    for (let i = 0; i <= count; i++) {
      const time = this.from + (this.to - this.from) * i / count;
      const label = svg('text', {x: this.x(time), y: HEIGHT - 5, 'text-anchor': i === 0 ? 'start' : i === count ? 'end' : 'middle'});
      label.textContent = clock(new Date(time).toISOString(), this.to - this.from < 600000);
      nodes.push(label);
    }
    return nodes;
  }

  point(x) {
    if (!this.samples.length || !this.width) return;
    const time = this.from + (this.to - this.from) * (x - EDGE.left) / (this.width - EDGE.left - EDGE.right);
    let i = this.samples.findIndex((s) => s.time > time);
    if (i < 0) i = this.samples.length;
    this.choose(Math.max(i - 1, 0));
  }

  // choose shows the values of a sample; null: of the newest.
  choose(i) {
    this.at = i;
    const s = this.samples[i === null ? this.samples.length - 1 : i];
    if (!s || !this.cursor) return;
    this.cursor.setAttribute('d', i === null ? '' : `M${this.x(s.time).toFixed(1)} ${EDGE.top}V${HEIGHT - EDGE.bottom}`);
    const values = this.series.map((one) => element('span', `key ${one.className}`, `${one.name} ${this.format(s[one.key])}`));
    this.readout.replaceChildren(element('span', 'quiet', i === null ? 'now' : clock(new Date(s.time).toISOString(), true)), ...values,
      i === null || !s.why ? '' : element('span', 'quiet', s.why));
    this.svg.setAttribute('aria-label', `${this.title}, ${i === null ? 'now' : clock(new Date(s.time).toISOString(), true)}: ` +
      this.series.map((one) => `${one.name} ${this.format(s[one.key])}`).join(', ') + (i === null ? '; arrow keys go back in time' : ''));
  }
}
