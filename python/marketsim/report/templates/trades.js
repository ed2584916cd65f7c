// Trades of the chosen strategy: sorted by a click on a heading, 25 a page, shown in the chart.
(function () {
  "use strict";
  var PAGE = 25, MISSING = "\u2013";
  var ex = marketsim.explore, make = ex.make;

  function tradesOf(data, read, close) {
    var found = { strategy: data.strategy, total: data.total };
    ["side", "entry", "exit", "bars", "net"].forEach(function (name) { found[name] = read(data[name]); });
    ["entry", "exit"].forEach(function (name) {
      found[name + "Price"] = ex.mapped(read(data[name + "Price"]), function (x, i) {
        return close[Math.max(0, Math.min(close.length - 1, found[name][i]))] * Math.exp(x);
      });
    });
    ["entryKind", "exitKind"].forEach(function (name) {
      found[name] = read(data[name]).map(function (code) { return data.kinds[code]; });
    });
    return found;
  }

  function table(place, on, chosen) {
    function date(i) { return i >= 0 && i < on.bars ? on.label(i) : MISSING; }
    var columns = [
      ["trade", false, function (t, i) { return i; }, function (t, i) { return String(t.total - t.side.length + i + 1); }],
      ["side", false, function (t, i) { return t.side[i]; }, function (t, i) { return t.side[i] ? "long" : "short"; }],
      ["entered", false, function (t, i) { return t.entry[i]; }, function (t, i) { return date(t.entry[i]); }],
      ["at", true, function (t, i) { return t.entryPrice[i]; }, function (t, i) { return ex.price(t.entryPrice[i]); }],
      ["by", false, function (t, i) { return t.entryKind[i]; }, function (t, i) { return t.entryKind[i]; }],
      ["left", false, function (t, i) { return t.exit[i]; }, function (t, i) { return date(t.exit[i]); }],
      ["at", true, function (t, i) { return t.exitPrice[i]; }, function (t, i) { return ex.price(t.exitPrice[i]); }],
      ["by", false, function (t, i) { return t.exitKind[i]; }, function (t, i) { return t.exitKind[i]; }],
      ["bars", true, function (t, i) { return t.bars[i]; }, function (t, i) { return String(t.bars[i] + 1); }],
      ["net", true, function (t, i) { return t.net[i]; }, function (t, i) { return ex.percent(t.net[i], true); }]
    ];
    var scroll = make("div", "scroll"), grid = make("table"), head = make("tr"), body = make("tbody");
    var bar = make("div", "pages"), status = make("span", "status");
    var back = make("button", "", "Earlier"), next = make("button", "", "Later");
    var state = { trades: null, order: [], page: 0, column: 0, falling: true };
    back.type = next.type = "button";
    bar.append(back, status, next);
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Trades");

    columns.forEach(function (column, k) {
      var th = make("th", column[1] ? "number" : ""), button = make("button", "", column[0]);
      button.type = "button";
      th.scope = "col";
      th.append(button);
      head.append(th);
      button.addEventListener("click", function () {
        state.falling = state.column === k ? !state.falling : false;
        state.column = k;
        state.page = 0;
        sort();
      });
    });
    var top = make("thead");
    top.append(head);
    grid.append(top, body);
    scroll.append(grid);
    place.append(scroll, bar);

    function sort() {
      var pick = columns[state.column][2], t = state.trades, sign = state.falling ? -1 : 1;
      state.order = t.side.map(function (_, i) { return i; });
      state.order.sort(function (a, b) {
        var x = pick(t, a), y = pick(t, b);
        return (x < y ? -sign : x > y ? sign : a - b);
      });
      Array.from(head.cells).forEach(function (th, k) {
        th.setAttribute("aria-sort", k !== state.column ? "none" : state.falling ? "descending" : "ascending");
      });
      draw();
    }

    function draw() {
      var t = state.trades, count = state.order.length, first = state.page * PAGE;
      body.replaceChildren.apply(body, state.order.slice(first, first + PAGE).map(function (i) {
        var tr = make("tr");
        columns.forEach(function (column, k) {
          var cell = make(k ? "td" : "th", column[1] ? "number" : "");
          if (k) { cell.textContent = column[3](t, i); } else {
            var link = make("button", "to-chart", column[3](t, i));
            link.type = "button";
            link.setAttribute("aria-label", "Show trade " + column[3](t, i) + " in the chart");
            link.addEventListener("click", function () { chosen(t.entry[i], t.exit[i]); });
            cell.append(link);
          }
          tr.append(cell);
        });
        tr.addEventListener("click", function (event) {
          if (event.target.tagName !== "BUTTON") { chosen(t.entry[i], t.exit[i]); }
        });
        return tr;
      }));
      var left = t.total - t.side.length;
      status.textContent = count
        ? (first + 1) + " to " + Math.min(count, first + PAGE) + " of " + count.toLocaleString("en-US") +
          (left ? "; " + left.toLocaleString("en-US") + " earlier ones are left out" : "")
        : "no trades";
      back.disabled = first === 0;
      next.disabled = first + PAGE >= count;
    }

    back.addEventListener("click", function () { state.page -= 1; draw(); });
    next.addEventListener("click", function () { state.page += 1; draw(); });
    return function (trades) {
      state.trades = trades;
      state.page = 0;
      sort();
    };
  }

  marketsim.trades = { of: tradesOf, table: table };
})();
