// Tables whose headings sort them: once ascending, then descending, then as they were.
var marketsim = {};
(function () {
  "use strict";
  document.documentElement.classList.add("script");

  // The number of a cell such as "+1,204.5%", or null.
  function number(text) {
    var plain = text.replace(/\u2212/g, "-").replace(/,/g, "").trim();
    var found = /^[^\d+\-.\u221e]{0,2}([+\-]?(\d+\.?\d*|\.\d+)(e[+\-]?\d+)?|[+\-]?\u221e)/.exec(plain);
    return found ? Number(found[1].replace("\u221e", "Infinity")) : null;
  }

  function value(row, column) { return row.cells[column].textContent.trim(); }

  function compare(a, b, falling) {
    var x = number(a), y = number(b);
    // Missing values are last in both directions.
    if ((x === null) !== (y === null)) { return x === null ? 1 : -1; }
    var order = x === null ? a.localeCompare(b) : x - y;
    return falling ? -order : order;
  }

  function sortable(table) {
    var body = table.tBodies[0], heads = Array.from(table.tHead.rows[0].cells);
    var original = Array.from(body.rows), state = null;
    if (original.length < 2) { return; }
    heads.forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.append.apply(button, Array.from(head.childNodes));
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", function () {
        var way = head.getAttribute("aria-sort");
        var next = way === "none" ? "ascending" : way === "ascending" ? "descending" : "none";
        heads.forEach(function (other) { other.setAttribute("aria-sort", "none"); });
        head.setAttribute("aria-sort", next);
        state = next === "none" ? null : { column: column, falling: next === "descending" };
        var rows = original.slice();
        if (state) {
          rows.sort(function (a, b) {
            // Rows that stand apart, such as baselines, stay below the others.
            var apart = a.classList.contains("apart") - b.classList.contains("apart");
            return apart || compare(value(a, column), value(b, column), state.falling);
          });
        }
        body.append.apply(body, rows);
      });
    });
  }

  marketsim.sortable = sortable;
  document.querySelectorAll(".scroll > table").forEach(sortable);
})();
