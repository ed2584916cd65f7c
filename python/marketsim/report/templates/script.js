// Joins the page's parts: names that hide series, tabs of forecasts, the strategy, the charts.
(function () {
  "use strict";
  var source = document.getElementById("report-data"), hide = {};

  function toggles(figure) {
    figure.querySelectorAll("button[data-series]").forEach(function (button) {
      button.disabled = false;
      button.addEventListener("click", function () {
        var shown = button.getAttribute("aria-pressed") !== "true", number = button.getAttribute("data-series");
        button.setAttribute("aria-pressed", String(shown));
        figure.querySelectorAll("g[data-series]").forEach(function (group) {
          if (group.getAttribute("data-series") === number) { group.classList.toggle("off", !shown); }
        });
        var live = hide[figure.getAttribute("data-figure")];
        if (live) { live(Number(number), shown); }
      });
    });
  }

  function tabs(opened) {
    var buttons = document.querySelectorAll("button[data-shows]"), fans = document.querySelectorAll("[data-fan]");
    function choose(name) {
      buttons.forEach(function (button) {
        button.setAttribute("aria-pressed", String(button.getAttribute("data-shows") === name));
      });
      fans.forEach(function (fan) { fan.hidden = fan.getAttribute("data-fan") !== name; });
      opened(name);
    }
    buttons.forEach(function (button) {
      button.addEventListener("click", function () { choose(button.getAttribute("data-shows")); });
    });
    if (fans.length) { choose(fans[0].getAttribute("data-fan")); }
  }

  function byId(name) { return document.querySelector('[data-figure="' + name + '"]'); }

  // Buttons that zoom, above the first figure.
  function tools(on) {
    var make = marketsim.explore.make, bar = make("div", "tools");
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Bars shown");
    function add(text, name, act) {
      var button = make("button", "", text);
      button.type = "button";
      button.setAttribute("aria-label", name);
      button.title = name;
      button.addEventListener("click", act);
      bar.append(button);
    }
    add("\u2190", "Earlier bars", function () { on.pan(-0.5); });
    add("\u2192", "Later bars", function () { on.pan(0.5); });
    add("+", "Zoom in", function () { on.zoom(0.5); });
    add("\u2212", "Zoom out", function () { on.zoom(2); });
    [60, 250, 1000].forEach(function (count) {
      if (count < on.bars) { add("Last " + count, "The last " + count + " bars", function () { on.show(on.bars - 0.5 - count, on.bars - 0.5); }); }
    });
    add("All", "All bars", function () { on.show(-0.5, on.bars - 0.5); });
    var shown = make("span", "status");
    var stride = on.stride > 1 ? ", a point stands for " + on.stride + " bars" : "";
    bar.append(shown);
    on.onRange(function (range) {
      var first = Math.max(0, Math.ceil(range.min)), last = Math.min(on.bars - 1, Math.floor(range.max));
      shown.textContent = last < first ? "" : on.label(first) + " to " + on.label(last) + stride;
    });
    return bar;
  }

  function explore(data, read) {
    var ex = marketsim.explore, on = ex.Explorer(data, read), state = { fills: {} }, made = {};
    ex.start();
    var equity = byId("equity"), candles = byId("candles");
    if (equity) { hide.equity = marketsim.panels.equity(equity, data, read, on); }
    var prices = data.candles ? marketsim.panels.pricesOf(data.candles, read) : null;
    var chart = candles && prices ? marketsim.panels.candles(candles, data.candles, read, on, state, prices) : null;
    tabs(function (name) {
      var fan = data.fans[Number(name.slice(4))];
      if (fan && prices && !made[name]) { made[name] = marketsim.panels.fan(byId(name), fan, read, on, prices); }
    });
    var all = data.trades.map(function (trades) { return marketsim.trades.of(trades, read, prices.close); });
    var place = document.querySelector("[data-trades]");
    var fill = place && all.length ? marketsim.trades.table(place, on, function (entry, exit) {
      var room = Math.max(20, 2 * (exit - entry));
      on.show(entry - room, exit + room);
      if (candles) { candles.scrollIntoView({ block: "center", behavior: "smooth" }); }
    }) : null;
    strategies(function (number) {
      if (!all.length) { return; }
      state.fills = marketsim.panels.fillsOf(all[number], on.bars);
      if (fill) { fill(all[number]); }
      if (state.say) { state.say(fillsText(all[number], on)); }
      if (chart) { chart.redraw(false); }
    });
    if (ex.charts.length) {
      var first = document.querySelector(".explored .live");
      first.before(tools(on));
    }
    document.documentElement.setAttribute("data-ready", String(ex.charts.length));
  }

  function fillsText(trades, on) {
    var kept = trades.side.length, all = trades.total;
    function count(number, noun) { return number.toLocaleString("en-US") + " " + noun + (number === 1 ? "" : "s"); }
    return count(on.bars, on.stride > 1 ? "point" : "bar") + "; fills of " + (kept < all ? "the last " + kept.toLocaleString("en-US") +
      " of " : "") + count(all, "trade") + " of " + trades.strategy + ".";
  }

  function strategies(chosen) {
    var select = document.getElementById("strategy");
    if (!select) { return; }
    function choose() {
      var name = select.options[select.selectedIndex].textContent;
      document.querySelectorAll("[data-strategy]").forEach(function (section) {
        section.hidden = section.getAttribute("data-strategy") !== name;
      });
      chosen(select.selectedIndex);
    }
    select.addEventListener("change", choose);
    choose();
  }

  document.querySelectorAll("[data-figure]").forEach(toggles);
  // A browser without DecompressionStream (before 2023) keeps the drawn figures.
  if (source && typeof DecompressionStream !== "undefined") {
    var data = JSON.parse(source.textContent);
    marketsim.explore.unpacked(data.block).then(function (read) { explore(data, read); });
  } else {
    tabs(function () {});
    strategies(function () {});
  }
})();
