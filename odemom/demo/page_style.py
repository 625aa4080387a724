"""The look of the tour's page, in the light and in the dark, on a desk and on a telephone."""

STYLE = """
:root { color-scheme: light dark; --yes: #00704a; --no: #b03224; --soft: #666; --line: #8885 }
@media (prefers-color-scheme: dark) {
  :root { --yes: #4cd3a5; --no: #ff8d7f; --soft: #a5a5a5 }
  body { background: #14171c; color: #e8e8e8 } a { color: #7db8ff }
  img { filter: invert(.92) hue-rotate(180deg) }
}
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { line-height: 1.2 } summary { cursor: pointer; padding: .25rem 0 }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: center }
td:first-child, th:first-child { text-align: left } th { font-weight: 600 }
.matrix { border-left: 2px solid; border-right: 2px solid; border-radius: 6px; margin: .5rem 1rem }
.matrix td { border: 0; padding: .1rem .5rem; text-align: right !important;
  font-variant-numeric: tabular-nums }
.yes { color: var(--yes); font-weight: 600 } .no { color: var(--no); font-weight: 600 }
img { max-width: 100%; background: white; border-radius: 4px; vertical-align: top }
.wide { overflow-x: auto } .wide img { min-width: 34rem }
p:not(.wide) > img { max-width: min(100%, 24rem) }
code, pre { font-family: ui-monospace, monospace; background: #8882; border-radius: 4px }
code { padding: .1rem .3rem } pre { padding: .7rem; overflow-x: auto } footer { color: var(--soft) }
@media (max-width: 30rem) { body { margin: 1rem auto } th, td { padding: .3rem .4rem }
  h1 { font-size: 1.5rem } }
"""
