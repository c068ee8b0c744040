// Sets every formula of the page. One that KaTeX does not know is an error in the console, which a test looks at.
for (const element of document.querySelectorAll(".formula")) {
  const displayMode = element.tagName === "DIV";
  katex.render(element.textContent, element, { displayMode, throwOnError: true, strict: "ignore" });
  // A browser may break a line behind a formula, before the mark that follows it. Where the formula itself has no place
  // to break, the two are held together.
  const next = element.nextSibling;
  const mark = next?.nodeType === Node.TEXT_NODE && next.data.match(/^[，。、；：？！）”,.;:?!)]+/);
  if (!displayMode && mark && element.querySelectorAll(".katex-base").length === 1) {
    next.data = next.data.slice(mark[0].length);
    const together = document.createElement("span");
    together.className = "together";
    element.replaceWith(together);
    together.append(element, mark[0]);
  }
}
