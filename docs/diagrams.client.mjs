/* global document, matchMedia, mermaid, MutationObserver */
// Runs in the reader's browser: draws the mermaid blocks of the page, again whenever the theme changes.
const blocks = [...document.querySelectorAll('pre > code.mermaid')].map(code => ({
  pre: code.parentElement,
  source: code.textContent,
}))
const dark = matchMedia('(prefers-color-scheme: dark)')
const root = document.documentElement

if (blocks.length > 0) {
  await loadScript(new URL('mermaid.tiny.js', import.meta.url))
  await draw()
  dark.addEventListener('change', draw)
  new MutationObserver(draw).observe(root, { attributeFilter: ['data-theme'] })
}

async function draw() {
  const { theme = 'os' } = root.dataset
  const isDark = theme === 'dark' || (theme === 'os' && dark.matches)
  mermaid.initialize({ startOnLoad: false, theme: isDark ? 'dark' : 'neutral', securityLevel: 'strict' })
  for (const [index, { pre, source }] of blocks.entries()) {
    const { svg } = await mermaid.render(`diagram-${index}`, source)
    pre.innerHTML = svg
    keepReadable(pre.firstElementChild)
    pre.classList.add('diagram')
  }
}

/** A wide diagram is moved sideways in its box rather than made too small to read. */
function keepReadable(svg) {
  const width = svg.viewBox.baseVal.width
  svg.style.minWidth = `${Math.min(width, 560)}px`
}

function loadScript(src) {
  return new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement('script'), { src, onload: resolve, onerror: reject }))
  })
}
