// The three kinds of chart. Each draws into a plot and returns the number of data points drawn.

const pathOf = points => 'M' + points.map(p => p[0].toFixed(1) + ' ' + p[1].toFixed(1)).join('L');

// Names of the series; pointing at one, or choosing it, dims the others.
function legend(plot, spec, groups) {
  const list = htmlNode(plot, 'div', 'legend' + (spec.legend ? ' ' + spec.legend : ''));
  if (spec.legend) htmlNode(list, 'span', 'legend-title', spec.legend);
  const focus = index => groups.forEach((group, i) => group.classList.toggle('dim', index >= 0 && i !== index));
  let chosen = -1;
  spec.series.forEach((series, i) => {
    const button = htmlNode(list, 'button');
    button.type = 'button';
    button.setAttribute('aria-pressed', 'false');
    htmlNode(button, 'i').style.background = seriesColor(series.color);
    htmlNode(button, 'span', '', series.name);
    button.addEventListener('pointerenter', () => focus(i));
    button.addEventListener('pointerleave', () => focus(chosen));
    button.addEventListener('click', () => {
      chosen = chosen === i ? -1 : i;
      list.querySelectorAll('button').forEach((other, j) => other.setAttribute('aria-pressed', String(j === chosen)));
      focus(chosen);
    });
  });
}

function summary(spec) {
  const text = valueText[spec.format];
  const ends = spec.series.slice(0, 12).map(series => {
    const first = series.points[0], last = series.points[series.points.length - 1];
    return first ? series.name + ' from ' + text(first[1]) + ' to ' + text(last[1]) : series.name + ' without values';
  });
  return spec.title + ': ' + ends.join('; ');
}

// The mean of the neighbours on both sides, as many of the one as of the other: noise goes, and slopes stay where they are.
function smoothed(points) {
  const sums = [0];
  for (const p of points) sums.push(sums[sums.length - 1] + p[1]);
  const reach = Math.max(2, Math.round(points.length / 40));
  return points.map((p, i) => {
    const n = Math.min(reach, i, points.length - 1 - i);
    return [p[0], (sums[i + n + 1] - sums[i - n]) / (2 * n + 1)];
  });
}

function drawLine(plot, spec, height) {
  const all = spec.series.flatMap(series => series.points);
  const xs = [...new Set(all.map(p => p[0]))].sort((a, b) => a - b);
  const area = frame(plot, {
    height, format: spec.format, xLabel: spec.x, label: summary(spec), wholeX: true,
    x: stepRange(xs), y: rangeOf(all.map(p => p[1]), spec.format),
  });
  stageMarks(area, spec.marks);
  const groups = spec.series.map((series, index) => {
    const group = svgNode(area.svg, 'g', {class: 'series'});
    const color = seriesColor(series.color);
    const noisy = spec.smooth && series.points.length >= 60;
    const draw = (points, className) => {
      const path = svgNode(group, 'path', {class: className, d: pathOf(points.map(p => [area.x(p[0]), area.y(p[1])]))});
      path.style.stroke = color;
      if (index >= 8) path.setAttribute('stroke-dasharray', '5 4');
    };
    if (series.points.length === 0) return group;
    draw(series.points, noisy ? 'line raw' : 'line');
    if (noisy) draw(smoothed(series.points), 'line');
    if (spec.dots || series.points.length === 1) {
      for (const p of series.points) svgNode(group, 'circle', {cx: area.x(p[0]), cy: area.y(p[1]), r: 2.6}).style.fill = color;
    }
    return group;
  });
  if (spec.series.length > 1) legend(plot, spec, groups);

  const lookup = spec.series.map(series => new Map(series.points));
  const hair = svgNode(area.svg, 'line', {class: 'hair', y1: area.box.top, y2: area.box.bottom, visibility: 'hidden'});
  tooltip(plot, area, xs.map(value => ({x: area.x(value), y: area.box.top + 40, free: true})), (i, box) => {
    hair.setAttribute('visibility', i < 0 ? 'hidden' : 'visible');
    if (i < 0) return;
    hair.setAttribute('x1', area.x(xs[i])), hair.setAttribute('x2', area.x(xs[i]));
    htmlNode(box, 'div', 'head', (spec.x || 'step') + ' ' + stepText(xs[i]));
    spec.series.forEach((series, s) => {
      const value = lookup[s].get(xs[i]);
      if (value !== undefined) tipRow(box, seriesColor(series.color), series.name, valueText[spec.format](value));
    });
  });
  return all.length;
}

function drawArea(plot, spec, height) {
  const xs = spec.series[0].points.map(p => p[0]);
  const area = frame(plot, {
    height, format: 'share', xLabel: spec.x, label: summary(spec), wholeX: true,
    x: stepRange(xs), y: {low: 0, high: 1},
  });
  const base = xs.map(() => 0);
  const groups = spec.series.map(series => {
    const lower = xs.map((x, i) => [area.x(x), area.y(Math.min(1, base[i]))]);
    series.points.forEach((p, i) => { base[i] += p[1]; });
    const upper = xs.map((x, i) => [area.x(x), area.y(Math.min(1, base[i]))]);
    const group = svgNode(area.svg, 'g', {class: 'series'});
    const path = svgNode(group, 'path', {class: 'band', d: pathOf(upper.concat(lower.reverse())) + 'Z'});
    path.style.fill = seriesColor(series.color);
    return group;
  });
  stageMarks(area, spec.marks);
  legend(plot, spec, groups);
  const hair = svgNode(area.svg, 'line', {class: 'hair', y1: area.box.top, y2: area.box.bottom, visibility: 'hidden'});
  tooltip(plot, area, xs.map(value => ({x: area.x(value), y: area.box.top + 50, free: true})), (i, box) => {
    hair.setAttribute('visibility', i < 0 ? 'hidden' : 'visible');
    if (i < 0) return;
    hair.setAttribute('x1', area.x(xs[i])), hair.setAttribute('x2', area.x(xs[i]));
    htmlNode(box, 'div', 'head', spec.x + ' ' + stepText(xs[i]));
    for (const series of [...spec.series].reverse()) tipRow(box, seriesColor(series.color), series.name, valueText.share(series.points[i][1]));
  });
  return xs.length * spec.series.length;
}

// Where a run stands between length and accuracy, from step to step.
function drawPhase(plot, spec, height) {
  const single = spec.runs.length === 1;
  const points = spec.runs.flatMap((run, r) => run.cloud.map(p => ({x: p[0], y: p[1], step: p[2], run: r, label: 'step ' + stepText(p[2])}))
    .concat(run.evaluations.map(p => ({x: p[0], y: p[1], step: p[2], run: r, label: p[3], large: true}))));
  const steps = points.map(p => p.step), first = Math.min(...steps), last = Math.max(...steps);
  const y = rangeOf(points.map(p => p.y), 'accuracy');
  y.low = Math.max(0, y.low - 0.14 * (y.high - y.low)), y.high = Math.min(1.004, y.high);
  const x = rangeOf(points.map(p => p.x), 'number');
  const area = frame(plot, {
    height, format: 'accuracy', xLabel: 'mean tokens of a response', x, y,
    label: spec.runs.map(run => describePhase(run, spec.title)).join('; '),
  });
  const color = (run, step) => single ? scaleColor('step', (step - first) / (last - first || 1)) : 'var(--c' + run % 8 + ')';
  const groups = spec.runs.map(() => svgNode(area.svg, 'g', {class: 'series'}));
  const dot = (p, radius, className) => {
    const node = svgNode(groups[p.run], 'circle', {class: className, cx: area.x(p.x), cy: area.y(p.y), r: radius});
    node.style.fill = color(p.run, p.step);
    return node;
  };
  for (const p of points) if (!p.large) dot(p, single ? 3 : 2, 'cloud');
  spec.runs.forEach((run, r) => {
    const path = points.filter(p => p.run === r && p.large);
    for (let i = 1; i < path.length; ++i) segment(groups[r], area, path[i - 1], path[i], step => color(r, step));
  });
  for (const p of points) if (p.large) dot(p, 6, 'evaluation');
  spec.runs.forEach((run, r) => {
    const of = index => points.filter(p => p.run === r && p.large)[index];
    if (run.before === undefined) return;
    endLabel(groups[r], area, of(run.before), single ? 'before' : '', true, area.x(of(run.after).x));
    endLabel(groups[r], area, of(run.after), single ? 'after' : run.name, false, area.x(of(run.before).x));
  });
  if (single) colorBar(plot, first, last);
  else legend(plot, {series: spec.runs.map((run, r) => ({name: run.name, color: {category: r}}))}, groups);
  tooltip(plot, area, points.map(p => ({x: area.x(p.x), y: area.y(p.y)})), (i, box) => {
    area.svg.querySelectorAll('circle.near').forEach(node => node.remove());
    if (i < 0) return;
    const p = points[i];
    svgNode(area.svg, 'circle', {class: 'near', cx: area.x(p.x), cy: area.y(p.y), r: 9});
    htmlNode(box, 'div', 'head', single ? p.label : spec.runs[p.run].name + ', ' + p.label);
    tipRow(box, '', 'accuracy', valueText.accuracy(p.y));
    tipRow(box, '', 'mean tokens', p.x.toFixed(1));
    if (p.large) tipRow(box, '', 'step of the run', stepText(p.step));
  });
  return points.length;
}

function describePhase(run, title) {
  const list = run.evaluations.length > 0 ? run.evaluations : run.cloud;
  const first = list[run.before || 0], last = list[run.after || list.length - 1];
  if (!first) return run.name + ' without values';
  const at = p => 'accuracy ' + valueText.accuracy(p[1]) + ' at ' + p[0].toFixed(1) + ' tokens';
  return title + ', ' + run.name + ': from ' + at(first) + ' to ' + at(last);
}

// A line whose colour runs along with the step.
function segment(group, area, a, b, color) {
  const parts = 10, at = (from, to, i) => from + (to - from) * i / parts;
  for (let i = 0; i < parts; ++i) {
    const line = svgNode(group, 'line', {
      class: 'segment', x1: area.x(at(a.x, b.x, i)), y1: area.y(at(a.y, b.y, i)), x2: area.x(at(a.x, b.x, i + 1)), y2: area.y(at(a.y, b.y, i + 1)),
    });
    line.style.stroke = color(at(a.step, b.step, i + 0.5));
  }
}

// `away` is the pixel position that the path comes from: the label stands on the other side where there is room, else below.
function endLabel(group, area, p, text, hollow, away) {
  const x = area.x(p.x), y = area.y(p.y);
  svgNode(group, 'circle', {class: hollow ? 'end hollow' : 'end', cx: x, cy: y, r: 10});
  if (!text) return;
  const label = svgNode(group, 'text', {class: 'end', y: y + 5}, text);
  const length = label.getComputedTextLength(), left = away > x;
  if (left ? x - length - 20 > area.box.left : x + length + 20 < area.box.right) {
    label.setAttribute('x', left ? x - length - 16 : x + 16);
  } else {
    label.setAttribute('x', Math.max(area.box.left, Math.min(area.box.right - length, x - length / 2)));
    label.setAttribute('y', Math.min(y + 27, area.box.bottom - 6));
  }
  // Where two would overlap, the legend has to do.
  const here = label.getBBox();
  const overlaps = other => here.x < other.x + other.width && other.x < here.x + here.width && here.y < other.y + other.height && other.y < here.y + here.height;
  area.labels = area.labels || [];
  if (area.labels.some(overlaps)) label.remove();
  else area.labels.push(here);
}

function colorBar(plot, first, last) {
  const bar = htmlNode(plot, 'div', 'legend bar');
  htmlNode(bar, 'span', '', 'step ' + stepText(first));
  const svg = svgNode(bar, 'svg', {viewBox: '0 0 40 1', preserveAspectRatio: 'none', 'aria-hidden': 'true'});
  for (let i = 0; i < 40; ++i) svgNode(svg, 'rect', {x: i, width: 1.1, height: 1}).style.fill = scaleColor('step', i / 39);
  htmlNode(bar, 'span', '', stepText(last));
}
