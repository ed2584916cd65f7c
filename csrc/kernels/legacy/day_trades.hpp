// Strategies of the old backtest, day by day: those that leave within the day, and the one that
// stops after a day it got wrong. Arrays are [row][day]; rows do not depend on each other.
#pragma once

#include <cstddef>

namespace marketsim {

// Forecasts of the close, high and low as returns, and what came.
template <typename Real>
struct ForecastDays {
  const Real* close_pred;
  const Real* high_pred;
  const Real* low_pred;
  const Real* close;
  const Real* high;
  const Real* low;
  size_t rows, days;
};

// Long from the previous close where the close is forecast above 0, else short; out at the forecast
// high (low) where the day reaches it, else at the close. The first day pays the fee, a change of
// side twice the fee. `high_pred` and `close` receive the arrays of these names with the returns in
// the places where a long left at the one or the other.
template <typename Real>
void take_profit_returns(const ForecastDays<Real>& given, double fee, Real* returns,
                         Real* high_pred, Real* close);

// Buys at the forecast low where the close is forecast above 0, below 0 sells at the forecast high
// (`long_only`: does not); out at the close. A limit that the day does not reach is the close. A
// side that begins pays the fee, and once more where the other one ends.
template <typename Real>
void high_low_returns(const ForecastDays<Real>& given, double fee, bool long_only, Real* returns);

// 1 on the first day; later the sign of the forecast, but 0 after a day with a position of which
// the forecast had the wrong sign. `returns` [row][known]: later days count as forecast wrong.
// `long_only` has 0 in place of -1.
template <typename Real>
void shutdown_signals(const Real* forecasts, const double* returns, size_t rows, size_t days,
                      size_t known, bool long_only, double* signals);

}  // namespace marketsim
