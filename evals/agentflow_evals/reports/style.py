"""How the page of a report looks: light, dark, narrow, on paper.

Owns the style and its hash, which the page's policy names: no other style is applied. The colours of
planners are told apart by people who see few colours, and stand out from both backgrounds by 3 to 1.
"""

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --line: #8886; --dim: #666; --soft: #8881; --back: #fff; --text: #1a1a1a;
  --good: #cfe3f5; --good-text: #0b3d66; --bad: #fbdcc4; --bad-text: #7a2e00; --odd: #e6e0f0;
  --odd-text: #43306b; --note: #f6eeb4; --note-text: #574a00; --bar: #4a7fb0; --ring: #0b57d0;
  --c0: #0067a5; --c1: #c8500a; --c2: #00805a; --c3: #b0458a; --c4: #8a6d00; --c5: #6a52c7; --c6: #3d8791;
  --c7: #5c5c5c; }
@media (prefers-color-scheme: dark) {
  :root { --dim: #a5a5a5; --back: #15181c; --text: #e6e6e6; --good: #15405f; --good-text: #d3eaff;
    --bad: #66310c; --bad-text: #ffe1cc; --odd: #40355a; --odd-text: #e9e0ff; --note: #5a4f0c;
    --note-text: #fff6c0; --bar: #6ea3d2; --ring: #8ab4f8; --c0: #62b5f0; --c1: #ff9352; --c2: #3cc79a;
    --c3: #ec97cb; --c4: #dcb93a; --c5: #b3a2ff; --c6: #78c5d0; --c7: #b9b9b9; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--back); color: var(--text); }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .4rem; padding-top: .6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1rem 0 .2rem; overflow-wrap: anywhere; }
p { margin: .3rem 0 .7rem; max-width: 48rem; } .dim, caption, figcaption { color: var(--dim); }
a { color: inherit; } :focus-visible { outline: 2px solid var(--ring); outline-offset: 2px; }
nav { margin: .6rem 0; display: flex; flex-wrap: wrap; gap: .1rem 1rem; } b { unicode-bidi: isolate; }
code, pre { font: .9em/1.45 ui-monospace, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); padding: .6rem; margin: .3rem 0; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1rem; margin: .8rem 0; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; unicode-bidi: isolate; }
dd ul { margin: 0; padding: 0; list-style: none; }
.warning { border-left: 4px solid var(--c1); padding: .3rem .8rem; background: var(--soft); max-width: none; }
.scroll { overflow: auto; margin: .5rem 0; max-width: 100%; } .tall { max-height: 80vh; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; caption-side: top; padding: .2rem 0; font-size: .9rem; }
caption span { display: inline-block; position: sticky; left: 0; max-width: min(52rem, 100vw - 3rem); }
th, td { padding: .25rem .45rem; text-align: right; vertical-align: top; unicode-bidi: isolate;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; } th:first-child { padding-left: 0; } thead th { vertical-align: bottom; } td { white-space: nowrap; }
th[scope=row], .text { text-align: left; overflow-wrap: anywhere; min-width: 10.5rem; max-width: 22rem; }
thead .text { min-width: 0; } thead th[rowspan]:first-child { text-align: left; }
thead th[colspan] { text-align: center; }
thead tr + tr th { overflow-wrap: anywhere; min-width: 5rem; }
td.text { white-space: normal; min-width: 10rem; max-width: 30rem; }
td.best { font-weight: 700; } td small { font-weight: 400; }
.scroll th[scope=row] { position: sticky; left: 0; background: var(--back); } td small { color: var(--dim); display: block; }
.swatch { width: .9rem; height: .9rem; vertical-align: -.1rem; margin-right: .4rem; }
figure { margin: .6rem 0; } figcaption { font-size: .9rem; overflow-wrap: anywhere; }
figure svg:not(.swatch) { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: var(--text); }
.wide { max-width: 62rem; } .wide svg:not(.swatch) { min-width: 37rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem; }
.pair .scroll svg { min-width: 27rem; max-width: 40rem; }
.forms { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: .6rem 2.4rem; }
.forms figure > div { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; }
.grid { stroke: var(--line); stroke-width: 1; } .tick { fill: var(--dim); font-size: 11px; }
.axis { fill: var(--dim); } .middle { text-anchor: middle; } .end { text-anchor: end; }
.leader { stroke: var(--dim); stroke-width: .7; } .bar { fill: var(--bar); }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.c4 { --c: var(--c4); } .c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); }
.mark { fill: var(--c); stroke: var(--back); stroke-width: 1.2; }
.whisker { stroke: var(--c); fill: none; stroke-width: 1.3; opacity: .75; }
.curve path { stroke: var(--c); fill: none; stroke-width: 2; stroke-linejoin: round; }
text.label { paint-order: stroke; stroke: var(--back); stroke-width: 3px; }
.frontier path { stroke: var(--dim); stroke-width: 1; stroke-dasharray: 3 4; fill: none; }
.legend { list-style: none; margin: .4rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
.key { display: inline-block; min-width: 1.6rem; text-align: center; }
.passed { background: var(--good); color: var(--good-text); }
.failed { background: var(--bad); color: var(--bad-text); }
.refused, .partly { background: var(--odd); color: var(--odd-text); }
.error { background: var(--note); color: var(--note-text); font-weight: 700; } .missing { color: var(--dim); }
.matrix td { text-align: center; padding: .1rem .3rem; border: solid var(--back); border-width: 0 2px 2px 0; }
.matrix thead th { position: sticky; top: 0; background: var(--back); z-index: 1; text-align: center;
  min-width: 4.2rem; max-width: 9rem; overflow-wrap: anywhere; font-size: .85rem; height: 2.6rem; padding: .2rem .35rem; }
.matrix thead tr + tr th { top: 2.6rem; } .matrix thead th[colspan] { max-width: none; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; }
.matrix thead th:first-child[rowspan] { left: 0; z-index: 3; text-align: left; padding-left: 0; }
.matrix th[scope=row] { font-weight: 400; min-width: 6rem; padding: .1rem .6rem .1rem 0;
  max-width: min(16rem, 36vw); border: 0; } .matrix .group { text-align: left; color: var(--dim); max-width: 10rem;
  overflow: hidden; text-overflow: ellipsis; }
.matrix td.sum { color: var(--dim); } :target { outline: 3px solid var(--ring); outline-offset: -2px; }
summary { cursor: pointer; } footer { margin: 3rem 0 1rem; color: var(--dim); font-size: .9rem; }
@media (max-width: 36rem) { body { margin-top: 1rem; } dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: .4rem; } th, td { padding: .25rem .4rem; } th[scope=row] { max-width: 36vw; }
  th[scope=row], td.text { min-width: 6.5rem; } }
@media print { body { max-width: none; margin: 0; font-size: 10pt; } .scroll, .tall { overflow: visible; max-height: none; }
  nav { display: none; } figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .scroll th, caption span { position: static !important; } figure svg:not(.swatch) { min-width: 0 !important; }
  .passed, .failed, .refused, .partly, .error, .bar { print-color-adjust: exact; } }
"""
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)
