// Sets every formula of the page. One that KaTeX does not know is an error in the console, which a test looks at.
for (const element of document.querySelectorAll(".formula")) {
  const displayMode = element.tagName === "DIV";
  katex.render(element.textContent, element, { displayMode, throwOnError: true, strict: "ignore" });
}
