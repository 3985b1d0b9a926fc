
"use strict";
(() => {
  const table = document.getElementById("all"), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const names = heads.map(head => head.textContent);
  const words = new Intl.Collator("en", { numeric: true });
  const isNumber = cell => cell.dataset.value !== undefined;
  const number = text => text.endsWith("inf") ? (text[0] === "-" ? -Infinity : Infinity) : Number(text);
  const compare = (one, two) => isNumber(one)
    ? number(one.dataset.value) - number(two.dataset.value)
    : words.compare(one.textContent, two.textContent);

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = names[column];
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      body.append(...[...body.rows].sort((one, two) => sign * compare(one.cells[column], two.cells[column])));
    });
  });

  // A text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay numbers.
  const quoted = text => `"${text.replaceAll('"', '""')}"`;
  const plain = text => quoted(/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text);
  const field = cell => isNumber(cell) ? cell.dataset.value : plain(cell.textContent);
  const csv = () => [
    names.map(plain).join(","),
    ...[...body.rows].map(row => [...row.cells].map(field).join(",")),
  ].join("\r\n") + "\r\n";

  const download = document.getElementById("download");
  download.hidden = false;
  download.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" }));
    link.download = "numbers.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
})();
