#include "kernels/legacy/scores.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <vector>

namespace marketsim {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// What a fee is multiplied with in a row that is long, short and flat.
constexpr double kMixedFee = 0.523;

// The sum of value(begin) .. value(begin + count - 1) in NumPy's order.
template <typename Value>
double ordered_sum(size_t begin, size_t count, const Value& value) {
  if (count < 8) {
    double sum = -0.0;
    for (size_t i = 0; i < count; ++i) sum += value(begin + i);
    return sum;
  }
  if (count > 128) {
    const size_t half = count / 2 - count / 2 % 8;
    return ordered_sum(begin, half, value) + ordered_sum(begin + half, count - half, value);
  }
  double part[8];
  for (size_t i = 0; i < 8; ++i) part[i] = value(begin + i);
  size_t done = 8;
  for (; done + 8 <= count; done += 8) {
    for (size_t i = 0; i < 8; ++i) part[i] += value(begin + done + i);
  }
  double sum =
      ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
  for (; done < count; ++done) sum += value(begin + done);
  return sum;
}

// NumPy adds to a first sum of 0.
template <typename Value>
double sum_of(size_t count, const Value& value) {
  return 0.0 + ordered_sum(0, count, value);
}

// Mean, annual mean and size of the returns of a row. The mean is that of the finite ones, which
// are added as a row of their own.
void profile(const double* returns, size_t days, double periods, const Scores& to, size_t row) {
  to.size[row] =
      sum_of(days, [&](size_t i) { return std::fabs(returns[i]); }) / static_cast<double>(days);
  to.mean[row] = to.annual[row] = 0.0;
  if (periods <= 0.0) return;
  std::vector<double> finite;
  std::copy_if(returns, returns + days, std::back_inserter(finite),
               [](double value) { return std::isfinite(value); });
  const double sum = sum_of(finite.size(), [&](size_t i) { return finite[i]; });
  to.mean[row] = sum / static_cast<double>(std::max<size_t>(finite.size(), 1));
  to.annual[row] = to.mean[row] * periods;
}

// What each day of a row leaves after costs.
void net_returns(const double* signals, const double* returns, size_t days,
                 const HoldingTerms& terms, double* net) {
  bool is_long = false, is_short = false, is_flat = false;
  for (size_t i = 0; i < days; ++i) {
    is_long |= signals[i] > 0.0;
    is_short |= signals[i] < 0.0;
    is_flat |= signals[i] == 0.0;
  }
  const double fee = is_long && is_short && is_flat ? terms.fee * kMixedFee : terms.fee;
  const double rate = fee + std::fabs((1.0 - terms.spread) / 2.0);
  for (size_t i = 0; i < days; ++i) {
    const double change = std::fabs(i ? signals[i] - signals[i - 1] : signals[i]);
    net[i] = signals[i] * returns[i] - change * rate;
  }
}

}  // namespace

void score_sums(const double* returns, size_t rows, size_t days, double periods, const Scores& to) {
  const double number = static_cast<double>(days);
  for (size_t row = 0; row < rows; ++row, returns += days) {
    const double total = sum_of(days, [&](size_t i) { return returns[i]; });
    const double mean = total / number;
    const double squares = sum_of(days, [&](size_t i) {
      const double centred = returns[i] - mean;
      return centred * centred;
    });
    const double deviation = std::sqrt(squares / number);
    const bool defined = deviation != 0.0 && std::isfinite(deviation);
    to.total[row] = total;
    to.sharpe[row] = defined ? mean / deviation * std::sqrt(std::max(periods, 1.0)) : 0.0;
    profile(returns, days, periods, to, row);
  }
}

void score_signals(const double* signals, const double* returns, size_t rows, size_t days,
                   const HoldingTerms& terms, double* net, const Scores& to) {
  for (size_t row = 0; row < rows; ++row, signals += days, returns += days, net += days) {
    net_returns(signals, returns, days, terms, net);
    double growth = 1.0, known = 0.0;
    for (size_t i = 0; i < days; ++i) {
      if (std::isnan(net[i])) continue;
      growth *= 1.0 + net[i];
      known += 1.0;
    }
    const auto or_zero = [&](size_t i, double value) { return std::isnan(net[i]) ? 0.0 : value; };
    const double mean = sum_of(days, [&](size_t i) { return or_zero(i, net[i]); }) / known;
    const double squares = sum_of(days, [&](size_t i) {
      const double centred = net[i] - mean;
      return or_zero(i, centred * centred);
    });
    const double deviation = std::sqrt(squares / (known > 1.0 ? known - 1.0 : kNan));
    const bool defined = deviation != 0.0 && !std::isnan(deviation);
    to.total[row] = std::isnan(net[days - 1]) ? kNan : growth - 1.0;
    to.sharpe[row] = defined ? mean / deviation * std::sqrt(terms.periods) : 0.0;
    profile(net, days, terms.periods, to, row);
  }
}

}  // namespace marketsim
