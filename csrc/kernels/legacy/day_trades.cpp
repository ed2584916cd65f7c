#include "kernels/legacy/day_trades.hpp"

namespace marketsim {

template <typename Real>
void take_profit_returns(const ForecastDays<Real>& given, double fee, Real* returns,
                         Real* high_pred, Real* close) {
  const Real once = static_cast<Real>(fee), twice = static_cast<Real>(fee + fee);
  for (size_t i = 0; i < given.rows * given.days; ++i) {
    const bool is_long = given.close_pred[i] > 0;
    const bool is_first = i % given.days == 0;
    const bool same = !is_first && is_long == (given.close_pred[i - 1] > 0);
    const Real paid = is_first ? once : same ? Real{0} : twice;
    const bool touched = is_long && given.high[i] >= given.high_pred[i];
    const Real of_long = touched ? given.high_pred[i] : given.close[i];
    const Real of_short =
        Real{0} - (given.low[i] <= given.low_pred[i] ? given.low_pred[i] : given.close[i]);
    returns[i] = (is_long ? of_long : of_short) - paid;
    high_pred[i] = touched ? returns[i] : given.high_pred[i];
    close[i] = is_long && !touched ? returns[i] : given.close[i];
  }
}

template <typename Real>
void high_low_returns(const ForecastDays<Real>& given, double fee, bool long_only, Real* returns) {
  const auto side_of = [&](size_t i) {
    if (given.close_pred[i] > 0) return 1;
    return !long_only && given.close_pred[i] < 0 ? -1 : 0;
  };
  int before = 0;
  for (size_t i = 0; i < given.rows * given.days; ++i) {
    if (i % given.days == 0) before = 0;
    const int side = side_of(i);
    const Real close = given.close[i];
    const Real bought = given.low[i] <= given.low_pred[i] ? given.low_pred[i] : close;
    const Real sold = given.high[i] >= given.high_pred[i] ? given.high_pred[i] : close;
    const Real gain = side > 0 ? close - bought : sold - close;
    const double paid = side == before ? 0.0 : before == 0 ? fee : fee + fee;
    returns[i] = side == 0 ? Real{0} : gain - static_cast<Real>(paid);
    before = side;
  }
}

template <typename Real>
void shutdown_signals(const Real* forecasts, const double* returns, size_t rows, size_t days,
                      size_t known, bool long_only, double* signals) {
  for (size_t row = 0; row < rows; ++row, forecasts += days, returns += known, signals += days) {
    double held = 0.0;
    bool was_right = false;
    for (size_t day = 0; day < days; ++day) {
      const bool up = forecasts[day] > 0, down = forecasts[day] < 0;
      const double sign = up ? 1.0 : down ? -1.0 : 0.0;
      held = day == 0 ? 1.0 : held != 0.0 && !was_right ? 0.0 : sign;
      was_right = day < known && ((up && returns[day] > 0.0) || (down && returns[day] < 0.0));
      signals[day] = long_only && held < 0.0 ? 0.0 : held;
    }
  }
}

#define MARKETSIM_INSTANTIATE(Real)                                                          \
  template void take_profit_returns(const ForecastDays<Real>&, double, Real*, Real*, Real*); \
  template void high_low_returns(const ForecastDays<Real>&, double, bool, Real*);            \
  template void shutdown_signals(const Real*, const double*, size_t, size_t, size_t, bool, double*);
MARKETSIM_INSTANTIATE(float)
MARKETSIM_INSTANTIATE(double)
#undef MARKETSIM_INSTANTIATE

}  // namespace marketsim
