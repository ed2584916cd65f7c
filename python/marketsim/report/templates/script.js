(function () {
  "use strict";
  var figures = JSON.parse(document.getElementById("report-data").textContent);
  var MISSING = "\u2013";

  function make(tag, className, text) {
    var node = document.createElement(tag);
    if (className) { node.className = className; }
    if (text !== undefined) { node.textContent = text; }
    return node;
  }

  // 0.1234 as +12.34%, with a true minus sign and none before a zero.
  function percent(value, signed) {
    if (value === null || value === undefined) { return MISSING; }
    var scaled = value * 100, size = Math.abs(scaled);
    var text = size < 1e7 ? size.toFixed(size < 100 ? 2 : size < 10000 ? 1 : 0) : size.toExponential(2);
    if (!/[1-9]/.test(text)) { return text + "%"; }
    // Commas in the whole part, as in the legend.
    text = text.replace(/^\d+/, function (whole) { return whole.replace(/\B(?=(\d{3})+$)/g, ","); });
    return (scaled < 0 ? "\u2212" : signed ? "+" : "") + text + "%";
  }

  // Pixels from the top of a panel; the server draws by the same formula.
  function heightOf(axis, value) {
    var at = value + axis.shift;
    var share = axis.log
      ? (Math.log(at) - Math.log(axis.low)) / (Math.log(axis.high) - Math.log(axis.low))
      : (at - axis.low) / (axis.high - axis.low);
    return axis.top + (1 - share) * axis.height;
  }

  // Position in the sorted list `at` that is nearest to `day`; without a list, the day itself.
  function nearest(at, day) {
    if (!at) { return day; }
    var low = 0, high = at.length - 1;
    while (high - low > 1) {
      var middle = (low + high) >> 1;
      if (at[middle] <= day) { low = middle; } else { high = middle; }
    }
    return Math.abs(at[high] - day) < Math.abs(day - at[low]) ? high : low;
  }

  function Reader(figure, data) {
    var place = figure.querySelector(".plots");
    var panels = Array.prototype.slice.call(place.querySelectorAll(".plot"));
    var reader = make("div", "reader"), hair = make("div", "hair"), tip = make("div", "tip");
    var current = -1, last = data.dates.length - 1;
    hair.hidden = tip.hidden = true;
    reader.append(hair, tip);
    reader.tabIndex = 0;
    reader.setAttribute("role", "slider");
    reader.setAttribute("aria-label", "Values by date; use the arrow keys");
    reader.setAttribute("aria-valuemin", "0");
    reader.setAttribute("aria-valuemax", String(last));
    reader.setAttribute("aria-valuenow", String(last));
    reader.setAttribute("aria-valuetext", data.dates[last]);
    place.append(reader);

    function button(row) {
      return figure.querySelector('button[data-series="' + Number(row.series) + '"]');
    }

    function shown(row) {
      var toggle = row.series === undefined ? null : button(row);
      return !toggle || toggle.getAttribute("aria-pressed") === "true";
    }

    function swatch(row) {
      var toggle = row.series === undefined ? null : button(row);
      return toggle ? toggle.querySelector(".swatch").cloneNode(true) : null;
    }

    function cells(row, j) {
      if (row.texts) { return [row.texts[j]]; }
      return row.numbers.map(function (numbers, column) { return percent(numbers[j], column === 0); });
    }

    function line(row, j) {
      var tr = make("tr"), head = make("th"), mark = swatch(row);
      if (mark) { head.append(mark); }
      head.append(make("span", "name", row.name));
      tr.append(head);
      cells(row, j).forEach(function (text) { tr.append(make("td", "number", text)); });
      return tr;
    }

    function fillTip(j) {
      var table = make("table"), body = make("tbody"), words = [data.dates[j]];
      table.append(make("caption", "", data.dates[j]));
      if (data.heads) {
        var head = make("tr");
        head.append(make("th"));
        data.heads.forEach(function (text) { head.append(make("th", "number", text)); });
        var top = make("thead");
        top.append(head);
        table.append(top);
      }
      data.rows.forEach(function (row) {
        if (!shown(row) || (row.texts && row.texts[j] === "")) { return; }
        body.append(line(row, j));
        words.push(row.name + " " + cells(row, j).join(" "));
      });
      table.append(body);
      tip.replaceChildren(table);
      reader.setAttribute("aria-valuetext", words.join(", "));
      reader.setAttribute("aria-valuenow", String(j));
    }

    function placeDots(j, left) {
      reader.querySelectorAll(".dot").forEach(function (dot) { dot.remove(); });
      (data.axes || []).forEach(function (axis, panel) {
        data.rows.forEach(function (row) {
          var value = row.numbers[panel][j];
          if (value === null || !shown(row)) { return; }
          var dot = make("div", "dot");
          var path = button(row).querySelector("path");
          dot.className = "dot " + path.getAttribute("class").replace("line ", "");
          dot.style.left = left;
          dot.style.top = panels[panel].offsetTop + heightOf(axis, value) + "px";
          reader.append(dot);
        });
      });
    }

    function show(j) {
      current = Math.max(0, Math.min(last, j));
      var day = data.at ? data.at[current] : current, share = (day + 0.5) / data.days;
      hair.style.left = share * 100 + "%";
      hair.hidden = tip.hidden = false;
      fillTip(current);
      placeDots(current, share * 100 + "%");
      // The tip stands on the side with more room, and never leaves the plot.
      var room = reader.clientWidth - tip.offsetWidth;
      var beside = share * reader.clientWidth + (share < 0.5 ? 14 : -14 - tip.offsetWidth);
      tip.style.left = Math.max(0, Math.min(room, beside)) + "px";
    }

    function hide() {
      hair.hidden = tip.hidden = true;
      reader.querySelectorAll(".dot").forEach(function (dot) { dot.remove(); });
    }

    function point(event) {
      var box = reader.getBoundingClientRect();
      var day = Math.floor((event.clientX - box.left) / box.width * data.days);
      show(nearest(data.at, Math.max(0, Math.min(data.days - 1, day))));
    }

    reader.addEventListener("pointermove", point);
    reader.addEventListener("pointerdown", point);
    // A finger that is lifted leaves too: what it pointed at stays until the next touch elsewhere.
    reader.addEventListener("pointerleave", function (event) {
      if (event.pointerType !== "touch") { hide(); }
    });
    document.addEventListener("pointerdown", function (event) {
      if (!reader.contains(event.target)) { hide(); }
    });
    reader.addEventListener("blur", hide);
    reader.addEventListener("keydown", function (event) {
      var step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
      if (event.key === "Escape") { hide(); return; }
      if (event.key === "Home" || event.key === "End") { step = event.key === "Home" ? -last : last; }
      if (!step) { return; }
      event.preventDefault();
      show((current < 0 ? last : current) + step);
    });
  }

  function toggles(figure) {
    figure.querySelectorAll("button[data-series]").forEach(function (button) {
      button.disabled = false;
      button.addEventListener("click", function () {
        var shown = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(shown));
        figure.querySelectorAll("g[data-series]").forEach(function (group) {
          if (group.getAttribute("data-series") === button.getAttribute("data-series")) {
            group.classList.toggle("off", !shown);
          }
        });
      });
    });
  }

  function tabs() {
    var buttons = document.querySelectorAll("button[data-shows]");
    var fans = document.querySelectorAll("[data-fan]");
    function choose(name) {
      buttons.forEach(function (button) {
        button.setAttribute("aria-pressed", String(button.getAttribute("data-shows") === name));
      });
      fans.forEach(function (fan) { fan.hidden = fan.getAttribute("data-fan") !== name; });
    }
    buttons.forEach(function (button) {
      button.addEventListener("click", function () { choose(button.getAttribute("data-shows")); });
    });
    if (buttons.length) { choose(buttons[0].getAttribute("data-shows")); }
  }

  document.documentElement.classList.add("script");
  document.querySelectorAll("[data-figure]").forEach(function (figure) {
    var data = figures[figure.getAttribute("data-figure")];
    if (data && data.dates.length) { new Reader(figure, data); }
    toggles(figure);
  });
  tabs();
})();
