"""How the simulator's pages look. Its own colours: nobody shall take it for the real thing."""

STYLE = """ :root { color-scheme: light dark; --ink: #1f2430; --dim: #5b6472; --paper: #fff; --desk:
#f0eef7; --line: #d9d5e6; --mark: #6b3fa0; --soft: #f4effb; --bad: #a3293d; } @media
(prefers-color-scheme: dark) { :root { --ink: #eceaf3; --dim: #aaa5bb; --paper: #211d2b; --desk:
#15121c; --line: #3c3550; --mark: #c5a3f2; --soft: #2c2539; --bad: #ff8c9c; } } * { box-sizing:
border-box; } body { margin: 0; padding: 1.5rem 1rem; min-height: 100vh; background: var(--desk);
color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; } .card { max-width: 30rem; margin: 4vh
auto; padding: 1.75rem; background: var(--paper); border: 1px solid var(--line); border-top: .4rem
solid var(--mark); border-radius: .75rem; } .wide { max-width: 64rem; } .badge { display:
inline-block; margin: 0 0 1rem; padding: .15rem .75rem; border-radius: 1rem; background:
var(--soft); color: var(--mark); font-size: .85rem; font-weight: 600; } h1 { margin: 0 0 .75rem;
font-size: 1.4rem; line-height: 1.25; } h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; } ul {
padding-left: 1.25rem; } .lead { margin: 1.5rem 0 .5rem; font-weight: 600; } .people { list-style:
none; margin: 0; padding: 0; display: grid; gap: .6rem; } button, select, input { font: inherit;
color: inherit; } button { cursor: pointer; border: 1px solid var(--line); border-radius: .5rem;
padding: .4rem .8rem; background: var(--paper); } button:hover { border-color: var(--mark);
background: var(--soft); } :focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
.person { display: flex; align-items: center; gap: .9rem; width: 100%; padding: .6rem .8rem;
text-align: left; } .person small { display: block; color: var(--dim); } .face { flex: none;
display: grid; place-items: center; width: 2.6rem; height: 2.6rem; border-radius: 50%; background:
var(--mark); color: var(--paper); font-weight: 700; } .deny { margin-top: 1rem; width: 100%;
padding: .6rem; color: var(--bad); } .foot { margin: 1.5rem 0 0; font-size: .9rem; } a { color:
var(--mark); } small, .dim { color: var(--dim); } .scroll { overflow-x: auto; } table {
border-collapse: collapse; width: 100%; } th, td { padding: .4rem .6rem; border-bottom: 1px solid
var(--line); text-align: left; vertical-align: top; } .row { display: flex; flex-wrap: wrap; gap:
.5rem; align-items: end; margin: .5rem 0; } .row label { display: grid; font-size: .85rem; color:
var(--dim); } select, input { padding: .4rem; border: 1px solid var(--line); border-radius: .5rem;
background: var(--paper); max-width: 14rem; } @media (max-width: 48rem) { .stack thead { display: none; }
  .stack tr, .stack td { display: block; border: 0; padding: .25rem 0; }
  .stack tr { padding: .75rem 0; border-bottom: 1px solid var(--line); } }
code { overflow-wrap: anywhere; }
"""
