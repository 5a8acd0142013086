/** The look of the page. `paper` is put on the root while it is printed. */
export const pageStyle = `
:root {
  color-scheme: light;
  --page: #f6f7f9; --surface: #ffffff; --text: #1b2330; --faint: #5b6675; --line: #e1e5ea; --hover: #f1f4f8;
  --first: #2f6fde; --first-soft: #2f6fde22; --second: #0f9488; --second-soft: #0f948822; --third: #d9620f; --range: #cfd8e4;
  --good: #167a45; --good-soft: #e2f5ea; --bad: #c22f36; --bad-soft: #fce8e9; --warn: #8a5a00; --warn-soft: #fdf1d8;
  --done: #2c9d8f; --spared: #b9c2cd; --sieved: #8795a7; --whole: #3d4b5f;
  --other-1: #7a6fd0; --other-2: #c78b3a; --other-3: #5a9bd4;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root:not(.paper) {
    color-scheme: dark;
    --page: #10151c; --surface: #181f29; --text: #e6eaf0; --faint: #9aa7b8; --line: #2c3644; --hover: #1f2834;
    --first: #6ba1ff; --first-soft: #6ba1ff2e; --second: #3fc4b4; --second-soft: #3fc4b42e; --third: #ff9d57; --range: #3d4b5e;
    --good: #5fd394; --good-soft: #16352a; --bad: #ff8087; --bad-soft: #40202a; --warn: #f3c15f; --warn-soft: #3b2f17;
    --done: #3aa99c; --spared: #4d5a6b; --sieved: #75859a; --whole: #a9b6c6;
    --other-1: #9c92ee; --other-2: #dca85c; --other-3: #7db8e8;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font-variant-numeric: tabular-nums; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 20px 40px; display: grid; gap: 18px; }
main > * { min-width: 0; }
h1, h2, p, figure, dl, dd, ul { margin: 0; padding: 0; }
h1 { font-size: 26px; line-height: 1.25; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 17px; display: flex; flex-wrap: wrap; gap: 10px; align-items: center; margin-bottom: 10px; }
ul { list-style: none; }
code { font: 0.88em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.version { color: var(--faint); font-weight: 500; }
.title { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; }
.facts, .hint { color: var(--faint); }
.facts { margin: 4px 0 16px; font-size: 14px; overflow-wrap: anywhere; }
.hint { font-size: 13.5px; font-weight: 400; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.verdict { display: inline-block; padding: 2px 10px; border-radius: 999px; font-size: 13px; font-weight: 600; line-height: 1.5; }
.verdict.good { background: var(--good-soft); color: var(--good); }
.verdict.bad { background: var(--bad-soft); color: var(--bad); }
.verdict.warn { background: var(--warn-soft); color: var(--warn); }
.notice { background: var(--bad-soft); border-radius: 10px; padding: 10px 14px; margin-bottom: 16px; overflow-wrap: anywhere; }
.notice ul { margin-top: 4px; }
.figures { display: grid; grid-template-columns: repeat(6, 1fr); background: var(--line); gap: 1px; border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
.figures div { background: var(--surface); padding: 12px 16px; display: flex; flex-direction: column; min-width: 0; }
.figures dt { color: var(--faint); font-size: 13px; }
.figures dd { font-size: 22px; font-weight: 650; letter-spacing: -0.01em; line-height: 1.35; }
.figures dd.more { color: var(--faint); font-size: 13px; font-weight: 400; letter-spacing: 0; }
.figures .bad dd:not(.more) { color: var(--bad); }
section { background: var(--surface); border: 1px solid var(--line); border-radius: 12px; padding: 18px 20px 20px; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 18px 28px; }
.columns { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 18px; align-items: start; }
figcaption { margin-bottom: 6px; }
.chart { position: relative; }
.chart.time { height: 210px; }
.empty { color: var(--faint); }
.empty.good { color: var(--good); }
.controls { display: flex; flex-wrap: wrap; gap: 8px 8px; align-items: center; margin: 4px 0 12px; color: var(--faint); }
.controls label { display: inline-flex; gap: 8px; align-items: center; }
select, input, button { font: inherit; color: var(--text); background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: 5px 10px; max-width: 100%; }
select { padding-right: 6px; max-width: 15em; text-overflow: ellipsis; }
input { min-width: 0; width: 16em; }
button { cursor: pointer; }
button:hover, select:hover { background: var(--hover); }
:focus-visible { outline: 2px solid var(--first); outline-offset: 2px; }
.scroll { overflow: auto; max-height: 560px; border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 5px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; font-weight: 400; }
tbody tr:last-child > * { border-bottom: 0; }
tbody tr:hover > * { background: var(--hover); }
thead { position: sticky; top: 0; z-index: 2; }
thead th { background: var(--surface); padding: 1px 2px; vertical-align: bottom; border-bottom: 1px solid var(--line); }
thead th:not(:has(button)) { padding: 5px 10px; }
thead th.span { text-align: center; border-bottom: 0; padding: 4px 10px 0; color: var(--faint); }
thead th, thead button { font-weight: 600; font-size: 13.5px; }
thead button { border: 0; padding: 4px 8px; width: 100%; text-align: inherit; background: none; white-space: nowrap; }
.number { text-align: right; }
.name { font-weight: 600; max-width: 22em; overflow: hidden; text-overflow: ellipsis; position: sticky; left: 0; background: var(--surface); }
td { max-width: 24em; overflow: hidden; text-overflow: ellipsis; }
td.findings { max-width: 30em; overflow: hidden; text-overflow: ellipsis; color: var(--faint); }
th[aria-sort=ascending] button::after { content: " ↑"; }
th[aria-sort=descending] button::after { content: " ↓"; }
#groups-more { margin-top: 12px; }
.printed { display: none; }
thead button { max-width: 16em; overflow: hidden; text-overflow: ellipsis; }
.badge { display: inline-block; border-radius: 6px; padding: 0 7px; font-size: 12.5px; font-weight: 600; background: var(--hover); color: var(--faint); }
.badge.warning { background: var(--warn-soft); color: var(--warn); }
.badge.critical { background: var(--bad-soft); color: var(--bad); }
svg { display: block; width: 100%; shape-rendering: crispEdges; }
.balance { margin-top: 14px; }
.balance + .balance { margin-top: 22px; }
.balance svg { height: 46px; border-radius: 6px; }
.bar { height: 8px; border-radius: 4px; margin-top: 4px; }
.track { fill: transparent; } .bar .track { fill: var(--line); }
rect.whole, i.whole { fill: var(--whole); background: var(--whole); }
rect.done, i.done { fill: var(--done); background: var(--done); }
rect.failed, i.failed, rect.critical { fill: var(--bad); background: var(--bad); }
rect.spared, i.spared { fill: var(--spared); background: var(--spared); }
rect.sieved, i.sieved { fill: var(--sieved); background: var(--sieved); }
rect.info { fill: var(--first); } rect.warning { fill: var(--other-2); }
rect.other-1, i.other-1 { fill: var(--other-1); background: var(--other-1); }
rect.other-2, i.other-2 { fill: var(--other-2); background: var(--other-2); }
rect.other-3, i.other-3 { fill: var(--other-3); background: var(--other-3); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 10px; margin-top: 8px; font-size: 14px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.legend .plus { color: var(--faint); margin-right: 10px; }
.failures > li + li { margin-top: 16px; padding-top: 16px; border-top: 1px solid var(--line); }
.bar-line { display: flex; justify-content: space-between; gap: 12px; }
.bar-line > span { min-width: 0; overflow-wrap: anywhere; }
.code { font-weight: 650; font-size: 0.95em; }
.advice { margin-top: 8px; font-size: 14px; }
.example { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 4px 14px; margin-top: 6px; font-size: 14px; }
.example dt { color: var(--faint); }
.example dd { overflow-wrap: anywhere; }
.command { background: var(--hover); border-radius: 6px; padding: 2px 7px; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
.details dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 8px 24px; font-size: 14px; margin-bottom: 10px; }
.details dt { color: var(--faint); font-size: 13px; }
.details dd { overflow-wrap: anywhere; }
footer { color: var(--faint); font-size: 13px; text-align: center; }
@media (max-width: 900px) {
  .figures { grid-template-columns: repeat(3, 1fr); }
  .columns, .pair { grid-template-columns: minmax(0, 1fr); }
}
@media (max-width: 560px) {
  main { padding: 16px 10px 28px; gap: 12px; }
  section { padding: 14px 12px 16px; }
  .figures { grid-template-columns: repeat(2, 1fr); }
  .figures div { padding: 9px 12px; }
  .figures dd { font-size: 19px; }
  .name { max-width: 9em; }
  th, td { padding: 5px 8px; }
  .chart.time { height: 170px; }
}
@media print {
  body { background: none; font-size: 12px; }
  main { padding: 0; max-width: none; }
  .controls, #groups-more { display: none; }
  .scroll { max-height: none; overflow: visible; border: 0; }
  thead, .name { position: static; }
  .printed { display: block; font-weight: 600; }
  table { font-size: 10px; }
  th, td, thead th:not(:has(button)) { padding: 2px 4px; }
  thead th, thead button { font-size: 10px; padding: 1px 2px; }
  td.findings bdi { display: none; }
  figure, .failures > li, tr, .chart { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
