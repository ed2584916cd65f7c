// Interactive figures on one axis of bars: zoom, pan, a crosshair across all, hidden series.
(function () {
  "use strict";
  var DASHES = { d0: [6, 3], d1: [2, 2.5], d2: [10, 3, 2, 3], again: [9, 3, 1.5, 3] };
  var MISSING = "\u2013";
  var charts = [], listeners = [], colours = {}, range = null, busy = false, readers = [];

  function make(tag, className, text) {
    var node = document.createElement(tag);
    if (className) { node.className = className; }
    if (text !== undefined) { node.textContent = text; }
    return node;
  }

  // Colours of the style sheet, which differ in the dark.
  function readColours() {
    var style = getComputedStyle(document.documentElement);
    ["page", "ink", "muted", "grid", "axis", "accent", "grey", "candle", "c0", "c1", "c2", "c3", "c4", "c5"]
      .forEach(function (name) { colours[name] = style.getPropertyValue("--" + name).trim(); });
  }

  function colour(style) {
    var name = style.split(" ")[0];
    return function () { return colours[name === "base" ? "grey" : name]; };
  }

  function faded(name, share) {
    return function () {
      var hex = colours[name];
      return hex + Math.round(share * 255).toString(16).padStart(2, "0");
    };
  }

  function dash(style) {
    var name = style.split(" ")[1];
    return name ? DASHES[name].map(function (v) { return v * devicePixelRatio; }) : [];
  }

  // Numbers as text

  function grouped(text) {
    return text.replace(/^\d+/, function (whole) { return whole.replace(/\B(?=(\d{3})+$)/g, ","); });
  }

  function percent(value, signed, decimals) {
    if (value === null || value === undefined) { return MISSING; }
    var scaled = value * 100, size = Math.abs(scaled);
    var places = decimals === undefined ? (size < 100 ? 2 : size < 10000 ? 1 : 0) : decimals;
    var text = size < 1e7 ? size.toFixed(places) : size.toExponential(2);
    if (!/[1-9]/.test(text)) { return text + "%"; }
    return (scaled < 0 ? "\u2212" : signed ? "+" : "") + grouped(text) + "%";
  }

  function price(value) {
    if (value === null || value === undefined) { return MISSING; }
    var size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e10)) { return value.toExponential(4); }
    var places = size < 1e5 ? Math.max(2, 4 - Math.floor(Math.log10(size || 1))) : 0;
    return (value < 0 ? "\u2212" : "") + grouped(size.toFixed(places));
  }

  // A price on an axis: the decimals that its steps need.
  function priceTick(value, step) {
    var size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e10)) { return value.toExponential(2); }
    return (value < 0 ? "\u2212" : "") + grouped(size.toFixed(decimals(step)));
  }

  function decimals(step) { return Math.max(0, Math.min(8, Math.ceil(-Math.log10(step) - 1e-9))); }

  // The block of arrays

  function reader(bytes) {
    return function (spec) {
      var found = new Array(spec.count), code = 0, size = Math.pow(256, spec.width);
      for (var i = 0; i < spec.count; i += 1) {
        var step = 0;
        for (var p = spec.width - 1; p >= 0; p -= 1) { step = step * 256 + bytes[spec.at + p * spec.count + i]; }
        code = (code + step) % size;
        if (spec.step === undefined) {
          var whole = spec.width === 4 && code >= size / 2 ? code - size : code;
          found[i] = spec.by ? whole / spec.by : whole;
        } else {
          found[i] = code ? spec.low + (code - 1) * spec.step : null;
          if (spec.log && code) { found[i] = Math.exp(found[i]); }
        }
      }
      return found;
    };
  }

  function unpacked(block) {
    var text = atob(block), bytes = new Uint8Array(text.length);
    for (var i = 0; i < text.length; i += 1) { bytes[i] = text.charCodeAt(i); }
    var stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer().then(function (buffer) { return reader(new Uint8Array(buffer)); });
  }

  function mapped(values, change) {
    return values.map(function (value, i) { return value === null ? null : change(value, i); });
  }

  // Panels

  function Explorer(data, read) {
    var time = mapped(read(data.time), function (s) { return s + data.first; });
    var bars = time.length, x = time.map(function (_, i) { return i; });
    var label = function (i) { return marketsim.dates.text(time[i]); };
    var measure = document.createElement("canvas").getContext("2d");
    measure.font = "12px system-ui, sans-serif";

    function widthOf(text) { return measure.measureText(text).width; }

    function xAxis(dated) {
      return {
        size: dated ? 28 : 6, gap: 4, font: "12px system-ui, sans-serif",
        stroke: function () { return colours.muted; },
        grid: { stroke: function () { return colours.grid; }, width: 1 }, ticks: { show: false },
        splits: function (u, axis, min, max) {
          var found = marketsim.dates.ticks(time, min, max, u.bbox.width / devicePixelRatio || 600, widthOf);
          u.labels = found.labels;
          return found.at;
        },
        values: function (u) { return dated ? u.labels : u.labels.map(function () { return ""; }); }
      };
    }

    function yAxis(text, space) {
      return {
        size: 66, gap: 6, font: "12px system-ui, sans-serif", space: space || 34,
        stroke: function () { return colours.muted; },
        grid: { stroke: function () { return colours.grid; }, width: 1 }, ticks: { show: false },
        values: function (u, splits, axis, room, step) {
          return splits.map(function (value) { return value === null ? "" : text(value, step); });
        }
      };
    }

    // The same bars in every panel.
    function follow(u, key) {
      if (key !== "x" || busy) { return; }
      busy = true;
      range = { min: u.scales.x.min, max: u.scales.x.max };
      charts.forEach(function (other) { if (other !== u) { other.setScale("x", range); } });
      listeners.forEach(function (changed) { changed(range); });
      busy = false;
    }

    function limited(min, max) {
      var least = Math.min(5, bars), span = Math.max(least, Math.min(bars, max - min));
      var start = Math.max(-0.5, Math.min(bars - 0.5 - span, min));
      return { min: start, max: start + span };
    }

    function show(min, max) { if (charts.length) { charts[0].setScale("x", limited(min, max)); } }

    function zoom(factor, around) {
      var span = range.max - range.min, at = around === undefined ? (range.min + range.max) / 2 : around;
      show(at - (at - range.min) * factor, at - (at - range.min) * factor + span * factor);
    }

    function pan(share) { var by = (range.max - range.min) * share; show(range.min + by, range.max + by); }

    function gestures(u) {
      var over = u.over, from = null;
      over.addEventListener("wheel", function (event) {
        if (!event.ctrlKey && !event.metaKey && !event.shiftKey) { return; }
        event.preventDefault();
        var by = event.deltaY || event.deltaX;
        if (event.shiftKey) { pan(by > 0 ? 0.1 : -0.1); return; }
        zoom(by > 0 ? 1.25 : 0.8, u.posToVal(event.clientX - over.getBoundingClientRect().left, "x"));
      }, { passive: false });
      // Shift and drag pans; a finger does too, once the page is zoomed in.
      over.addEventListener("pointerdown", function (event) {
        var touch = event.pointerType === "touch";
        if (event.shiftKey || touch) { from = { at: event.clientX, min: range.min, max: range.max }; }
      });
      document.addEventListener("pointermove", function (event) {
        if (!from) { return; }
        var by = (from.at - event.clientX) / over.clientWidth * (from.max - from.min);
        show(from.min + by, from.max + by);
      });
      ["pointerup", "pointercancel"].forEach(function (name) {
        document.addEventListener(name, function () { from = null; });
      });
    }

    function panel(place, options) {
      var holder = make("div", "live-panel");
      place.append(holder);
      if (options.label) { holder.append(make("div", options.low ? "live-label low" : "live-label", options.label)); }
      var settings = {
        width: holder.clientWidth || 600, height: options.height, legend: { show: false }, padding: [8, 14, 0, 0],
        cursor: {
          sync: { key: "bars", scales: ["x", null], setSeries: false },
          y: false, points: { size: 7, show: options.points !== false },
          drag: { x: true, y: false, dist: 4 },
          bind: {
            mousedown: function (u, target, handler) {
              return function (event) { if (!event.shiftKey) { handler(event); } return null; };
            },
            dblclick: function () { return function () { show(-0.5, bars - 0.5); return null; }; }
          }
        },
        scales: {
          x: { time: false, auto: false, min: range ? range.min : -0.5, max: range ? range.max : bars - 0.5 },
          y: options.scale
        },
        axes: [xAxis(options.dated), yAxis(options.text, options.height < 200 ? 22 : 34)],
        series: [{}].concat(options.series),
        bands: options.bands || [],
        hooks: {
          setScale: [follow],
          setCursor: [function (u) { options.figure.moved(u); }],
          draw: options.draw ? [options.draw] : []
        }
      };
      var u = new uPlot(settings, [x].concat(options.values), holder);
      if (!range) { range = { min: -0.5, max: bars - 0.5 }; }
      u.setScale("x", range);
      charts.push(u);
      gestures(u);
      holder.chart = u;
      new ResizeObserver(function () {
        var width = holder.clientWidth;
        if (width && width !== u.width) { u.setSize({ width: width, height: options.height }); }
      }).observe(holder);
      u.over.addEventListener("mouseenter", function () { options.figure.enter(u); });
      u.over.addEventListener("mouseleave", function () { options.figure.leave(); });
      return u;
    }

    // A figure: its panels, its readout beside the crosshair, its keys.
    function figureOf(element, rows, heads) {
      var place = make("div", "live"), tip = make("div", "tip"), active = null;
      tip.hidden = true;
      place.tabIndex = 0;
      place.setAttribute("role", "slider");
      place.setAttribute("aria-label", "Values by date; arrow keys move, + and \u2212 zoom, 0 shows all");
      place.setAttribute("aria-valuemin", "0");
      place.setAttribute("aria-valuemax", String(bars - 1));
      place.setAttribute("aria-valuenow", String(bars - 1));
      place.setAttribute("aria-valuetext", label(bars - 1));
      element.querySelector(".plots").before(place);
      element.classList.add("explored");

      function fill(i) {
        var table = make("table"), body = make("tbody"), words = [label(i)];
        table.append(make("caption", "", label(i)));
        if (heads) {
          var top = make("thead"), head = make("tr");
          head.append(make("th"));
          heads.forEach(function (text) { head.append(make("th", "number", text)); });
          top.append(head);
          table.append(top);
        }
        rows(i).forEach(function (row) {
          var tr = make("tr"), th = make("th");
          if (row.swatch) { th.append(row.swatch.cloneNode(true)); }
          th.append(make("span", "name", row.name));
          tr.append(th);
          row.cells.forEach(function (text) { tr.append(make("td", "number", text)); });
          body.append(tr);
          words.push(row.name + " " + row.cells.join(" "));
        });
        table.append(body);
        tip.replaceChildren(table);
        place.setAttribute("aria-valuetext", words.join(", "));
        place.setAttribute("aria-valuenow", String(i));
      }

      var figure = {
        place: place,
        enter: function (u) { active = u; },
        leave: function () { active = null; tip.hidden = true; },
        moved: function (u) {
          if (u !== active || u.cursor.idx === null || u.cursor.idx === undefined) {
            if (u === active) { tip.hidden = true; }
            return;
          }
          fill(u.cursor.idx);
          tip.hidden = false;
          var left = u.over.getBoundingClientRect().left - place.getBoundingClientRect().left + u.cursor.left;
          var room = place.clientWidth - tip.offsetWidth;
          var beside = u.cursor.left < u.over.clientWidth / 2 ? left + 14 : left - 14 - tip.offsetWidth;
          tip.style.left = Math.max(0, Math.min(room, beside)) + "px";
        },
        say: function (text) {
          var caption = element.querySelector(".live-caption");
          if (caption) { caption.textContent = text; }
        },
        cursor: function (i) {
          var u = place.querySelector(".live-panel").chart;
          active = u;
          u.setCursor({ left: u.valToPos(i, "x"), top: 10 });
        }
      };
      place.append(tip);
      place.addEventListener("keydown", function (event) {
        var now = Number(place.getAttribute("aria-valuenow"));
        var step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -bars, End: bars }[event.key];
        if (event.key === "Escape") { figure.leave(); return; }
        if (event.key === "+" || event.key === "=") { zoom(0.5, now); }
        else if (event.key === "-") { zoom(2, now); }
        else if (event.key === "0") { show(-0.5, bars - 0.5); }
        else if (step && event.shiftKey) { pan(step > 0 ? 0.2 : -0.2); }
        else if (step) {
          var next = Math.max(0, Math.min(bars - 1, now + step));
          if (next < range.min) { pan((next - range.min) / (range.max - range.min) - 0.1); }
          if (next > range.max) { pan((next - range.max) / (range.max - range.min) + 0.1); }
          figure.cursor(next);
        } else { return; }
        event.preventDefault();
      });
      place.addEventListener("blur", function () { figure.leave(); });
      readers.push(figure);
      return figure;
    }

    function padded(u, min, max) {
      if (min === null || min === undefined) { return [0, 1]; }
      var room = (max - min) * 0.05 || Math.abs(max) * 0.01 || 0.01;
      return [min - room, max + room];
    }

    return {
      time: time, bars: bars, stride: data.stride, x: x, label: label, panel: panel, figure: figureOf, padded: padded,
      show: show, zoom: zoom, pan: pan, onRange: function (changed) { listeners.push(changed); changed(range); }
    };
  }

  function recolour() {
    readColours();
    charts.forEach(function (u) { u.redraw(false, true); });
  }

  marketsim.explore = {
    unpacked: unpacked, Explorer: Explorer, make: make, colour: colour, colours: colours, faded: faded, dash: dash,
    percent: percent, price: price, priceTick: priceTick, decimals: decimals, mapped: mapped, charts: charts,
    redraw: function () { charts.forEach(function (u) { u.redraw(false); }); },
    start: function () {
      readColours();
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
    }
  };
})();
