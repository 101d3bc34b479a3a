// Draws every chart, and again when its width, the colour scheme or the medium changes.

const kinds = {line: drawLine, area: drawArea, phase: drawPhase};

function chartHeight(figure, spec, width) {
  if (spec.kind === 'phase') return Math.round(Math.max(300, Math.min(460, width * 0.56)));
  return figure.classList.contains('third') ? 210 : 280;
}

function draw(figure, spec) {
  const plot = figure.querySelector('.plot');
  plot.textContent = '';
  plot.drawnWidth = plot.clientWidth;
  figure.dataset.marks = kinds[spec.kind](plot, spec, chartHeight(figure, spec, plot.clientWidth));
}

function start() {
  const charts = JSON.parse(document.getElementById('report-data').textContent).charts
    .map(spec => ({spec, figure: document.getElementById('chart-' + spec.id)}));
  const drawAll = () => charts.forEach(chart => draw(chart.figure, chart.spec));
  drawAll();
  const observer = new ResizeObserver(entries => requestAnimationFrame(() => {
    for (const entry of entries) {
      const chart = charts.find(one => one.figure.contains(entry.target));
      if (entry.target.clientWidth > 0 && entry.target.clientWidth !== entry.target.drawnWidth) draw(chart.figure, chart.spec);
    }
  }));
  charts.forEach(chart => observer.observe(chart.figure.querySelector('.plot')));
  darkScheme.addEventListener('change', drawAll);

  // On paper: dark ink, and nothing folded away.
  let folded = [];
  addEventListener('beforeprint', () => {
    page.printing = true;
    folded = [...document.querySelectorAll('details:not([open])')];
    folded.forEach(node => { node.open = true; });
    drawAll();
  });
  addEventListener('afterprint', () => {
    page.printing = false;
    folded.forEach(node => { node.open = false; });
    drawAll();
  });
  document.documentElement.dataset.charts = charts.length;
}

start();
