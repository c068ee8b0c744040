"""The contrast of every text on a page with what lies behind it, as WCAG 2.2 computes it, by a script in the page."""

CONTRASTS = """
    const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
      .getContext("2d", {willReadFrequently: true});
    const paint = (colours) => {
      pen.clearRect(0, 0, 1, 1);
      for (const c of colours) { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); }
      return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const known = new Map(); // a page has few colours, and to read a pixel takes long
    const light = (colours) => {
      const key = colours.join();
      if (!known.has(key)) {
        const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = paint(colours).map((v) => linear(v / 255));
        known.set(key, 0.2126 * r + 0.7152 * g + 0.0722 * b);
      }
      return known.get(key);
    };
    const behind = (e) => {
      const layers = [];
      for (let node = e; node; node = node.parentElement) layers.unshift(getComputedStyle(node).backgroundColor);
      if (e.matches(".unit text")) layers.push(getComputedStyle(e.previousElementSibling).fill);
      return layers;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      const e = text.parentElement;
      const seen = text.textContent.trim() && !e.matches("script") && e.getClientRects().length;
      if (!seen || e.closest(":disabled")) continue;
      const style = getComputedStyle(e);
      const ink = e.matches("svg text") ? style.fill : style.color;
      const layers = behind(e);
      const [a, b] = [light([...layers, ink]), light(layers)].sort((p, q) => q - p);
      found.push([(a + 0.05) / (b + 0.05), text.textContent.trim().slice(0, 30), e.className?.baseVal ?? e.className]);
    }
    return found;
"""
