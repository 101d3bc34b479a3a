'use strict';
// Numbers, colours, axes and tooltips that all charts share.

const SVG = 'http://www.w3.org/2000/svg';
const darkScheme = matchMedia('(prefers-color-scheme: dark)');
const page = {printing: false};

function svgNode(parent, name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

function htmlNode(parent, name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

// --- numbers

function decimalsOf(step) {
  return Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9)));
}

function plainNumber(value) {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 1e-3 || size >= 1e9) return value.toExponential(1).replace('e+', 'e');
  if (size >= 1e6) return (value / 1e6).toFixed(size < 1e7 ? 2 : 1) + 'M';
  if (size >= 1e4) return (value / 1e3).toFixed(size < 1e5 ? 1 : 0) + 'k';
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

const valueText = {
  number: plainNumber,
  accuracy: value => value.toFixed(3).replace(/^0\./, '.'),
  share: value => (100 * value).toFixed(1) + ' %',
};

const tickText = (value, step, format) => tickDigits(value, step, format).replace('-', '−');

function tickDigits(value, step, format) {
  if (format === 'share') return (100 * value).toFixed(decimalsOf(100 * step)) + ' %';
  if (format === 'accuracy') return value.toFixed(decimalsOf(step)).replace(/^0\./, '.');
  if (value !== 0 && step < 1e-5) return Number(value.toPrecision(6)).toExponential().replace('e+', 'e');
  for (const [unit, name] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (Math.abs(value) >= 10 * unit || (unit > 1e3 && Math.abs(value) >= unit)) return Number((value / unit).toFixed(decimalsOf(step / unit))) + name;
  }
  return Number(value.toFixed(decimalsOf(step))).toLocaleString('en-US', {maximumFractionDigits: 8});
}

const stepText = value => Math.round(value).toLocaleString('en-US');

// Round numbers within [low, high], as many as possible up to `most`.
function ticks(low, high, most, whole) {
  let power = Math.pow(10, Math.floor(Math.log10((high - low) / most)) - 1), list = [], step = power;
  const fits = size => {
    step = size;
    list = [];
    if (whole && size < 1) return false;
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9 && list.length <= most; ++i) list.push(i * step);
    return list.length <= most;
  };
  while (![1, 2, 5].some(factor => fits(factor * power))) power *= 10;
  return {step, list};
}

// The range of an axis. One that starts near zero starts at zero; shares and accuracies end at one.
function rangeOf(values, format) {
  let low = Infinity, high = -Infinity;
  for (const value of values) low = Math.min(low, value), high = Math.max(high, value);
  if (low === high) {
    const room = Math.abs(low) * 0.1;
    low -= room, high += room || 1;
  }
  const room = (high - low) * 0.06;
  const bounded = format === 'share' || format === 'accuracy';
  const fromZero = low >= 0 && low < 0.4 * high;
  return {
    low: fromZero ? 0 : bounded ? Math.max(0, low - room) : low - room,
    high: bounded ? Math.min(1, high + room) : high + room,
  };
}

// The range of steps; a stage that was logged from its beginning starts at zero.
function stepRange(xs) {
  const low = xs[0], high = xs[xs.length - 1];
  return {low: low < 0.1 * high ? 0 : low, high: high > low ? high : low + 1};
}

// --- colours

// From first to last: ordered in lightness, so that they read without colour, too.
const scales = {
  step: {light: ['#46327e', '#365c8d', '#1f8f8b', '#35a960', '#8fb31d'], dark: ['#8f7bea', '#5c9be0', '#2fbfae', '#7bd65b', '#fbe14a']},
  difficulty: {light: ['#e39a2d', '#e0703f', '#c8405f', '#8f2d7c', '#4a1f6f'], dark: ['#ffd98a', '#ffa765', '#f46d84', '#c973d8', '#8f84ff']},
};

function scaleColor(name, at) {
  const stops = scales[name][darkScheme.matches && !page.printing ? 'dark' : 'light'];
  const place = Math.max(0, Math.min(1, at)) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(place));
  const part = (color, at) => parseInt(color.slice(at, at + 2), 16);
  const mixed = [1, 3, 5].map(c => Math.round(part(stops[i], c) + (place - i) * (part(stops[i + 1], c) - part(stops[i], c))));
  return 'rgb(' + mixed.join(',') + ')';
}

function seriesColor(color) {
  if (color.scale !== undefined) return scaleColor('difficulty', color.scale);
  return color.category === 'rest' ? 'var(--rest)' : 'var(--c' + color.category % 8 + ')';
}

// --- axes

// Draws both axes into a new SVG and returns how values become pixels. Text keeps its size: the drawing is redone, not scaled.
function frame(plot, options) {
  const width = Math.max(240, plot.clientWidth), height = options.height;
  const svg = svgNode(plot, 'svg', {viewBox: '0 0 ' + width + ' ' + height, role: 'img', 'aria-label': options.label, tabindex: 0});
  const yTicks = ticks(options.y.low, options.y.high, Math.max(4, Math.round(height / 44)));
  const yTexts = yTicks.list.map(value => tickText(value, yTicks.step, options.format));
  const left = 14 + 7.2 * Math.max(...yTexts.map(text => text.length));
  const box = {left, right: width - 14, top: 14, bottom: height - 40};
  const x = value => box.left + (value - options.x.low) / (options.x.high - options.x.low || 1) * (box.right - box.left);
  const y = value => box.bottom - (value - options.y.low) / (options.y.high - options.y.low || 1) * (box.bottom - box.top);
  const grid = svgNode(svg, 'g', {class: 'grid'});
  yTicks.list.forEach((value, i) => {
    svgNode(grid, 'line', {x1: box.left, x2: box.right, y1: y(value), y2: y(value)});
    svgNode(grid, 'text', {x: box.left - 8, y: y(value) + 4, 'text-anchor': 'end'}, yTexts[i]);
  });
  const xTicks = ticks(options.x.low, options.x.high, Math.max(3, Math.floor((box.right - box.left) / 54)), options.wholeX);
  for (const value of xTicks.list) {
    svgNode(grid, 'line', {class: 'tick', x1: x(value), x2: x(value), y1: box.bottom, y2: box.bottom + 4});
    const anchor = x(value) > box.right - 16 ? 'end' : 'middle';
    svgNode(grid, 'text', {x: Math.min(x(value), box.right), y: box.bottom + 17, 'text-anchor': anchor}, tickText(value, xTicks.step, 'number'));
  }
  svgNode(grid, 'line', {class: 'base', x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom});
  svgNode(grid, 'text', {class: 'axis', x: box.right, y: height - 6, 'text-anchor': 'end'}, options.xLabel);
  return {svg, box, x, y, width, height};
}

// Vertical lines where later stages begin.
function stageMarks(area, marks) {
  for (const mark of marks || []) {
    const at = area.x(mark.x);
    svgNode(area.svg, 'line', {class: 'mark', x1: at, x2: at, y1: area.box.top - 6, y2: area.box.bottom});
    svgNode(area.svg, 'text', {class: 'mark', x: at + 4, y: area.box.top + 2}, mark.label);
  }
}

// --- tooltip: follows the pointer, or the arrow keys; `show(i)` fills it for item i of `positions` (pixels)

function tooltip(plot, area, positions, fill) {
  const box = htmlNode(plot, 'div', 'tip');
  box.hidden = true;
  box.setAttribute('aria-live', 'polite');
  let current = -1;
  const hide = () => { box.hidden = true, current = -1, fill(-1, null); };
  const show = index => {
    if (index === current) return;
    current = index;
    box.textContent = '';
    fill(index, box);
    box.hidden = false;
    const scale = plot.clientWidth / area.width;
    const at = positions[index];
    const room = plot.clientWidth - box.offsetWidth;
    const beside = at.x * scale + 14;
    box.style.left = Math.max(0, Math.min(room, beside + box.offsetWidth > plot.clientWidth ? at.x * scale - 14 - box.offsetWidth : beside)) + 'px';
    box.style.top = Math.max(0, Math.min(plot.clientHeight - box.offsetHeight, at.y * scale - box.offsetHeight / 2)) + 'px';
  };
  const nearest = event => {
    const bounds = area.svg.getBoundingClientRect();
    const px = (event.clientX - bounds.left) * area.width / bounds.width, py = (event.clientY - bounds.top) * area.height / bounds.height;
    let best = 0, least = Infinity;
    positions.forEach((at, i) => {
      const far = at.free ? Math.abs(at.x - px) : Math.hypot(at.x - px, at.y - py);
      if (far < least) least = far, best = i;
    });
    return best;
  };
  if (positions.length === 0) return;
  area.svg.addEventListener('pointermove', event => show(nearest(event)));
  area.svg.addEventListener('pointerdown', event => show(nearest(event)));
  area.svg.addEventListener('pointerleave', hide);
  area.svg.addEventListener('blur', hide);
  area.svg.addEventListener('keydown', event => {
    const move = {ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity}[event.key];
    if (event.key === 'Escape') hide();
    if (move === undefined) return;
    event.preventDefault();
    show(Math.max(0, Math.min(positions.length - 1, current < 0 ? (move < 0 ? positions.length - 1 : 0) : current + move)));
  });
}

function tipRow(box, color, name, value) {
  const row = htmlNode(box, 'div', 'row');
  const dot = htmlNode(row, 'i');
  if (color) dot.style.background = color;
  htmlNode(row, 'span', '', name);
  htmlNode(row, 'b', '', value);
}
