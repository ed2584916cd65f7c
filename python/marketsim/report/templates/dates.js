// Dates of bars: text, and ticks where a year, month, day or hour begins. All by the bars' clock.
(function () {
  "use strict";
  var DAY = 86400;
  var MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

  function parts(seconds) { return new Date(seconds * 1000); }

  // 2020-03-09, with the time unless it is midnight.
  function text(seconds) {
    var iso = parts(seconds).toISOString(), time = iso.slice(11, 19);
    var day = iso.slice(0, iso.indexOf("T"));
    if (time === "00:00:00") { return day; }
    return day + " " + (time.slice(6) === "00" ? time.slice(0, 5) : time);
  }

  function day(seconds) { var d = parts(seconds); return d.getUTCDate() + " " + MONTHS[d.getUTCMonth()]; }
  function month(seconds) { var d = parts(seconds); return MONTHS[d.getUTCMonth()] + " " + d.getUTCFullYear(); }
  function year(seconds) { return String(parts(seconds).getUTCFullYear()); }
  function clock(seconds) {
    var time = parts(seconds).toISOString().slice(11, 16);
    return time === "00:00" ? day(seconds) : time;
  }

  function even(length, label) {
    return { length: length, label: label, key: function (s) { return Math.floor(s / length); } };
  }
  function months(count, label) {
    return {
      length: count * 30 * DAY, label: label,
      key: function (s) { var d = parts(s); return Math.floor((d.getUTCFullYear() * 12 + d.getUTCMonth()) / count); }
    };
  }
  var STEPS = [1, 5, 15, 30, 60, 180, 360, 720].map(function (m) { return even(60 * m, clock); });
  STEPS.push(even(DAY, day));
  [1, 2].forEach(function (weeks) {
    STEPS.push({
      length: 7 * weeks * DAY, label: day,
      key: function (s) { return Math.floor((Math.floor(s / DAY) + 3) / (7 * weeks)); }
    });
  });
  [1, 3, 6].forEach(function (count) { STEPS.push(months(count, month)); });
  [1, 2, 5, 10, 20, 50, 100].forEach(function (count) { STEPS.push(months(12 * count, year)); });

  // Positions between `low` and `high` where a period of the finest step begins that has room.
  function turns(time, low, high, most) {
    var span = time[high] - time[low];
    for (var k = 0; k < STEPS.length; k += 1) {
      var step = STEPS[k], found = [];
      // Markets are closed at times: fewer turns than the clock has.
      if (span / step.length > 8 * most) { continue; }
      var before = low > 0 ? step.key(time[low - 1]) : step.key(time[low]);
      for (var i = low; i <= high && found.length <= most; i += 1) {
        var key = step.key(time[i]);
        if (key !== before) { found.push(i); }
        before = key;
      }
      if (found.length && found.length <= most) { return { at: found, step: step }; }
    }
    return { at: [low], step: { label: text } };
  }

  // Ticks of the bars from `min` to `max` on `width` px; `measure` gives the width of a text in px.
  function ticks(time, min, max, width, measure) {
    var low = Math.max(0, Math.ceil(min)), high = Math.min(time.length - 1, Math.floor(max));
    if (high < low) { return { at: [], labels: [] }; }
    var found = turns(time, low, high, Math.max(2, Math.floor(width / 84)));
    var at = [], labels = [], taken = -Infinity, shown = null;
    found.at.forEach(function (i) {
      var label = found.step.label(time[i]), here = year(time[i]);
      if (found.step.label === day && here !== shown) { label += " " + here; }
      var half = measure(label) / 2, centre = (i - min) / (max - min) * width;
      if (centre - half < taken + 12 || centre + half > width + 12) { return; }
      taken = centre + half;
      shown = here;
      at.push(i);
      labels.push(label);
    });
    return { at: at, labels: labels };
  }

  marketsim.dates = { text: text, ticks: ticks };
})();
