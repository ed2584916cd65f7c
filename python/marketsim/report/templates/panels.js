// The figures of the report: equity, drawdown and a rolling figure; candles and fills; fans.
(function () {
  "use strict";
  var ex = marketsim.explore, make = ex.make;
  var FILLS = { "long entry": "c0", "long exit": "c2", "short entry": "c1", "short exit": "c3" };

  function line(style, options) {
    return Object.assign({
      stroke: ex.colour(style), dash: ex.dash(style), width: style === "c0" ? 2 : 1.5, points: { show: false }
    }, options);
  }

  function fall(equity) {
    var peak = 1;
    return ex.mapped(equity, function (value) { peak = Math.max(peak, value); return value / peak - 1; });
  }

  function swatches(element) {
    return Array.from(element.querySelectorAll("button[data-series]")).map(function (button) {
      return button.querySelector(".swatch");
    });
  }

  // Equity, drawdown and the rolling figure, which share their names

  function equity(element, data, read, on) {
    var log = data.log, marks = swatches(element);
    var curves = data.curves.map(function (curve) {
      var values = read(curve.equity);
      var level = log ? ex.mapped(values, Math.exp) : values;
      return {
        name: curve.name, style: curve.style, shown: true, level: level, fall: fall(level),
        rolling: curve.rolling && read(curve.rolling)
      };
    });
    var rolling = curves.some(function (c) { return c.rolling; });
    var heads = ["return", "drawdown"].concat(rolling ? [data.rolling.split(",")[0]] : []);
    var figure = on.figure(element, function (i) {
      return curves.map(function (c, k) {
        var level = c.level[i];
        var cells = [ex.percent(level === null ? null : level - 1, true), ex.percent(c.fall[i])];
        if (rolling) { cells.push(c.rolling && c.rolling[i] !== null ? c.rolling[i].toFixed(2).replace("-", "\u2212") : "\u2013"); }
        return { name: c.name, cells: cells, swatch: marks[k], shown: c.shown };
      }).filter(function (row) { return row.shown; });
    }, heads);

    function panel(label, height, pick, scale, text, dated) {
      return on.panel(figure.place, {
        figure: figure, label: label, low: label === "Drawdown", height: height, dated: dated, text: text, scale: scale,
        series: curves.map(function (c) { return line(c.style); }), values: curves.map(pick)
      });
    }

    var growth = log
      ? { distr: 3, range: function (u, min, max) { return min ? [min / 1.05, max * 1.05] : [0.9, 1.1]; } }
      : { range: on.padded };
    var depth = { range: function (u, min) { return [min ? min * 1.05 : -0.01, 0]; } };
    function share(value, step) { return ex.percent(value, false, ex.decimals(step * 100)); }
    var live = [
      panel("Equity", 300, function (c) { return c.level; }, growth, log
        ? function (value) {
          var digit = value / Math.pow(10, Math.floor(Math.log10(value) + 1e-9));
          return Math.abs(digit - Math.round(digit)) > 1e-6 ? "" : String(Number(value.toPrecision(2))) + "\u00d7";
        }
        : function (value, step) { return ex.percent(value - 1, true, ex.decimals(step * 100)); }),
      panel("Drawdown", 130, function (c) { return c.fall; }, depth, share, !rolling)
    ];
    if (rolling) {
      live.push(panel(data.rolling, 140, function (c) { return c.rolling || on.x.map(function () { return null; }); },
        { range: on.padded }, ex.priceTick, true));
    }
    return function (series, shown) {
      curves[series].shown = shown;
      live.forEach(function (u) { u.setSeries(series + 1, { show: shown }); });
    };
  }

  // Candles, and the fills of the chosen strategy

  function fillsOf(trades, bars) {
    var at = {};
    function add(bar, kind, price) {
      if (bar >= 0 && bar < bars && price !== null) { (at[bar] = at[bar] || []).push({ kind: kind, price: price }); }
    }
    trades.side.forEach(function (side, i) {
      var word = side ? "long" : "short";
      add(trades.entry[i], word + " entry", trades.entryPrice[i]);
      add(trades.exit[i], word + " exit", trades.exitPrice[i]);
    });
    return at;
  }

  function mark(ctx, kind, x, y, size) {
    ctx.fillStyle = ex.colours[FILLS[kind]];
    if (size < 4 * devicePixelRatio) { ctx.fillRect(x - size / 2, y - size / 2, size, size); return; }
    var up = kind === "long entry" ? 1 : kind === "short entry" ? -1 : 0;
    ctx.beginPath();
    if (up) {
      ctx.moveTo(x, y);
      ctx.lineTo(x + size * 0.6, y + up * size);
      ctx.lineTo(x - size * 0.6, y + up * size);
    } else if (kind === "long exit") {
      ctx.moveTo(x, y);
      ctx.lineTo(x + size / 2, y - size / 2);
      ctx.lineTo(x, y - size);
      ctx.lineTo(x - size / 2, y - size / 2);
    } else { ctx.rect(x - size * 0.4, y, size * 0.8, size * 0.8); }
    ctx.closePath();
    ctx.strokeStyle = ex.colours.page;
    ctx.stroke();
    ctx.fill();
  }

  function pricesOf(data, read) {
    var prices = {};
    ["open", "high", "low", "close"].forEach(function (name) { prices[name] = read(data[name]); });
    return prices;
  }

  function candles(element, data, read, on, state, prices) {
    var lines = data.lines.map(function (l) { return { name: l.name, style: l.style, values: read(l.values) }; });
    var figure = on.figure(element, function (i) {
      var rows = ["open", "high", "low", "close"].map(function (name) {
        return { name: name, cells: [ex.price(prices[name][i])] };
      });
      lines.forEach(function (l) { rows.push({ name: l.name, cells: [ex.price(l.values[i])] }); });
      (state.fills[i] || []).slice(0, 6).forEach(function (fill) {
        rows.push({ name: fill.kind, cells: [ex.price(fill.price)] });
      });
      return rows;
    });

    function draw(u) {
      var ctx = u.ctx, ratio = devicePixelRatio, box = u.bbox;
      var from = Math.max(0, Math.floor(u.scales.x.min)), to = Math.min(on.bars - 1, Math.ceil(u.scales.x.max));
      function px(i) { return u.valToPos(i, "x", true); }
      function py(v) { return u.valToPos(v, "y", true); }
      var step = px(1) - px(0);
      ctx.save();
      ctx.beginPath();
      ctx.rect(box.left, box.top, box.width, box.height);
      ctx.clip();
      ctx.lineWidth = ratio;
      ctx.strokeStyle = ctx.fillStyle = ex.colours.candle;
      // Where bars are narrower than two pixels, one line stands for those of a pixel.
      var stride = Math.max(1, Math.ceil(2 * ratio / step));
      for (var i = from; i <= to; i += stride) {
        var high = null, low = null, last = Math.min(to, i + stride - 1);
        for (var k = i; k <= last; k += 1) {
          if (prices.high[k] !== null && (high === null || prices.high[k] > high)) { high = prices.high[k]; }
          if (prices.low[k] !== null && (low === null || prices.low[k] < low)) { low = prices.low[k]; }
        }
        if (high === null || low === null) { continue; }
        var x = px((i + last) / 2);
        ctx.beginPath();
        ctx.moveTo(x, py(high));
        ctx.lineTo(x, py(low));
        ctx.stroke();
        if (stride > 1 || step < 3 * ratio || prices.open[i] === null || prices.close[i] === null) { continue; }
        var width = Math.max(1, Math.min(step * 0.62, 24 * ratio));
        var top = py(Math.max(prices.open[i], prices.close[i])), bottom = py(Math.min(prices.open[i], prices.close[i]));
        ctx.fillStyle = prices.close[i] >= prices.open[i] ? ex.colours.page : ex.colours.candle;
        ctx.fillRect(x - width / 2, top, width, Math.max(ratio, bottom - top));
        ctx.strokeRect(x - width / 2, top, width, Math.max(ratio, bottom - top));
      }
      var size = (to - from > 800 ? 2.5 : to - from > 250 ? 5 : 9) * ratio;
      for (var j = from; j <= to; j += 1) {
        (state.fills[j] || []).forEach(function (fill) { mark(ctx, fill.kind, px(j), py(fill.price), size); });
      }
      ctx.restore();
    }

    var none = { paths: function () { return null; }, points: { show: false } };
    state.say = figure.say;
    return on.panel(figure.place, {
      figure: figure, height: 380, dated: true, points: false, draw: draw, scale: { range: on.padded },
      text: ex.priceTick,
      series: [none, Object.assign({}, none)].concat(lines.map(function (l) { return line(l.style); })),
      values: [prices.high, prices.low].concat(lines.map(function (l) { return l.values; }))
    });
  }

  // Quantile bands of a forecast, the median, and what came

  function fan(element, data, read, on, prices) {
    var levels = data.levels, count = levels.length, close = prices.close;
    function priced(spec) {
      return ex.mapped(read(spec), function (x, i) {
        var before = close[Math.max(0, i - 1)];
        return before === null ? null : before * Math.exp(x);
      });
    }
    var quantiles = data.quantiles.map(priced), actual = prices[data.actual] || priced(data.actual);
    var pairs = Math.floor(count / 2), shades = [0.14, 0.18, 0.22, 0.26];
    function name(level) { return String(Math.round(level * 1e6) / 1e4) + "%"; }
    var figure = on.figure(element, function (i) {
      var rows = [{ name: "actual", cells: [ex.price(actual[i])] }];
      if (count % 2) { rows.push({ name: "median", cells: [ex.price(quantiles[pairs][i])] }); }
      for (var k = pairs - 1; k >= 0; k -= 1) {
        rows.push({
          name: name(levels[k]) + " to " + name(levels[count - 1 - k]),
          cells: [ex.price(quantiles[k][i]) + " to " + ex.price(quantiles[count - 1 - k][i])]
        });
      }
      return rows;
    });
    var bands = [];
    for (var k = 0; k < pairs; k += 1) {
      bands.push({ series: [count - k, k + 1], fill: ex.faded("c0", shades[Math.min(k, 3)]) });
    }
    figure.say("All " + on.bars.toLocaleString("en-US") + (on.stride > 1 ? " points." : " bars."));
    return on.panel(figure.place, {
      figure: figure, height: 340, dated: true, points: false, scale: { range: on.padded }, bands: bands,
      text: ex.priceTick,
      series: quantiles.map(function (_, q) {
        return line("c0", { width: count % 2 && q === pairs ? 1.6 : 0 });
      }).concat([{
        stroke: function () { return ex.colours.ink; }, width: 1.1,
        points: {
          size: 5, fill: function () { return ex.colours.ink; },
          show: function (u) { return u.scales.x.max - u.scales.x.min < 130; }
        }
      }]),
      values: quantiles.concat([actual])
    });
  }

  marketsim.panels = { equity: equity, candles: candles, fan: fan, fillsOf: fillsOf, pricesOf: pricesOf };
})();
