"""The style sheet of the report's page: light and dark by the reader's choice, light on paper."""

from __future__ import annotations

STYLE = """
:root{--bg:#fbfbfa;--card:#fff;--ink:#1d2330;--dim:#626b7a;--rule:#dfe2e8;--grid:#e9ebf0;
--bid:#1f6fd1;--ask:#c2540a;--ref:#1d2330;--market:#a9b1bf;--good:#14804a;--bad:#c0272d;
--aim:#8a5cd6;--warm:#b7791f}
@media (prefers-color-scheme:dark){:root{--bg:#12151c;--card:#1a1f29;--ink:#e6e9ef;--dim:#98a2b3;
--rule:#2d3442;--grid:#262d3a;--bid:#5aa2f5;--ask:#f0914b;--ref:#e6e9ef;--market:#5b6576;
--good:#45c486;--bad:#f2777a;--aim:#b794f4;--warm:#e0b04f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 24px 48px}
h1{font-size:26px;margin:0 0 14px;overflow-wrap:anywhere}h2{font-size:20px;margin:0 0 14px}
h3{font-size:15px;margin:18px 0 6px}
.kicker{margin:0;color:var(--dim);text-transform:uppercase;letter-spacing:.08em;font-size:12px}
section,header{background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:20px 22px;margin:0 0 18px}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:8px 24px;margin:0}
dt{color:var(--dim);font-size:12.5px}dd{margin:0;overflow-wrap:anywhere}
.hash{margin:14px 0 0;font-size:13px;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(146px,1fr));gap:12px;padding:0;
border:0;background:none}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:12px 14px}
.card h3{margin:0;font-size:12.5px;font-weight:500;color:var(--dim)}
.figure{margin:4px 0 2px;font-size:21px;font-weight:600;font-variant-numeric:tabular-nums;
overflow-wrap:anywhere}
.good .figure{color:var(--good)}.bad .figure{color:var(--bad)}
.note,.nothing{margin:2px 0;color:var(--dim);font-size:12.5px}
figure{margin:0 0 20px}figcaption{font-weight:600;margin-bottom:4px}
figure{overflow-x:auto}.plot{display:block;width:100%;max-width:none}
.drawn{display:block;width:100%;height:auto}
.plot.field{margin-left:92px;width:calc(100% - 106px);overflow:visible}
.line{fill:none;stroke-width:1.5;stroke-linejoin:round;vector-effect:non-scaling-stroke}
.grid{stroke:var(--grid);fill:none}.axis{stroke:var(--dim);fill:none}
.tick,.label{fill:var(--dim);font-size:12px}.label{fill:var(--ink);font-size:13px}
.end{text-anchor:end}.mid{text-anchor:middle}
.line.market{stroke:var(--market);stroke-width:1}.line.bid{stroke:var(--bid)}
.line.ask{stroke:var(--ask)}.line.reference{stroke:var(--ref);stroke-dasharray:1 3;
stroke-linecap:round}
.line.pnl{stroke:var(--good)}.line.held{stroke:var(--bid)}
.line.target{stroke:var(--aim);stroke-dasharray:6 4}
.mark{fill:none;stroke-width:6;stroke-linecap:round;vector-effect:non-scaling-stroke}
.mark.bid{stroke:var(--bid);stroke-linecap:square;stroke-width:5}.mark.ask{stroke:var(--ask)}
.bar.gain,.bar.spread,.bar.up{fill:var(--good)}.bar.loss{fill:var(--bad)}
.bar.up{fill:var(--bid)}
.span{stroke:var(--market);stroke-width:3;fill:none}
.p50{fill:var(--good)}.p99{fill:var(--bid)}.p999{fill:var(--warm)}.most{fill:var(--bad)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin:4px 0 0;padding:0 0 0 8%;
font-size:12.5px;color:var(--dim)}
.key{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;
vertical-align:middle;background:var(--dim)}
.key.bid,.key.held,.key.up,.key.p99{background:var(--bid)}.key.ask{background:var(--ask)}
.key.reference{background:var(--ref)}.key.market{background:var(--market)}
.key.pnl,.key.spread,.key.p50{background:var(--good)}.key.target{background:var(--aim)}
.key.p999{background:var(--warm)}.key.most{background:var(--bad)}
.key.dot{width:8px;height:8px}.key.dot.ask{border-radius:50%}.key.dot.bid{border-radius:0}
.unit{margin-left:auto;font-style:italic}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:8px 32px;
align-items:start}
.wide{overflow-x:auto}
.wide th:first-child,.wide td:first-child{position:sticky;left:0;background:var(--card)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13.5px;
margin:4px 0 10px}
th{text-align:right;font-weight:500;color:var(--dim);border-bottom:1px solid var(--rule);
padding:4px 8px}
td{text-align:right;padding:4px 8px;border-bottom:1px solid var(--grid)}
th:first-child,td:first-child{text-align:left;padding-left:0}
.events th,.events td{text-align:left;vertical-align:top;overflow-wrap:anywhere}
.events td:first-child{white-space:nowrap;font-size:12.5px}
pre{font-size:12px;line-height:1.4;margin:0;white-space:pre-wrap;overflow-wrap:anywhere;
columns:2;column-gap:32px}
code{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.92em}
footer{color:var(--dim);font-size:12.5px;overflow-wrap:anywhere}
@media (max-width:760px){.pair{grid-template-columns:1fr}pre{columns:1}
main{padding:12px 8px 32px}section,header{padding:14px 12px}
.plot.field{margin-left:66px;width:calc(100% - 74px)}.more{display:none}.drawn{min-width:760px}
.drawn .tick{font-size:16px}.drawn .label{font-size:17px}
.wide th:first-child,.wide td:first-child{white-space:normal;overflow-wrap:anywhere;
min-width:84px;max-width:34vw;padding-right:6px}.events{min-width:640px}}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--dim:#444;--rule:#bbb;--grid:#ddd;
--bid:#1f6fd1;--ask:#c2540a;--ref:#000;--market:#888;--good:#14804a;--bad:#c0272d;--aim:#6b3fc0;
--warm:#b7791f}
@page{size:A4;margin:14mm 12mm}
body{font-size:11px;print-color-adjust:exact;-webkit-print-color-adjust:exact}
main{max-width:none;padding:0}
section,header{border:0;border-radius:0;padding:0 0 8px;margin:0 0 10px}
h1{font-size:18px}h2{font-size:15px;border-bottom:1px solid var(--rule);break-after:avoid}
h3{break-after:avoid}
.cards{grid-template-columns:repeat(4,1fr);gap:6px}.card{padding:6px 8px}.figure{font-size:15px}
figure,.card,tr,.pair{break-inside:avoid}figcaption{break-after:avoid}
table{font-size:10px}.wide,figure{overflow:visible}pre{font-size:8.5px}
.pair{grid-template-columns:1fr 1fr}
.legend,.note{font-size:10px}}
"""
