// Target weights over many instruments that share one account.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/replay/run.hpp"

namespace marketsim::replay {
namespace {

class PortfolioAccount {
 public:
  explicit PortfolioAccount(const Portfolio& portfolio)
      : portfolio_(portfolio),
        cash_(portfolio.cash),
        held_(static_cast<size_t>(portfolio.assets), 0.0),
        price_(static_cast<size_t>(portfolio.assets), kNone),
        quantity_(static_cast<size_t>(portfolio.assets), 0.0),
        traded_(static_cast<size_t>(portfolio.assets), 0.0),
        paid_(static_cast<size_t>(portfolio.assets), 0.0),
        order_(static_cast<size_t>(portfolio.assets), 0) {}

  double cash() const { return cash_; }
  const std::vector<double>& held() const { return held_; }

  // Takes the prices of a bar: an instrument without one keeps the last.
  double value(const double* prices) {
    const size_t count = held_.size();
    const double* const __restrict held = held_.data();
    double* const __restrict last = price_.data();
    double* const __restrict worth = traded_.data();
    for (size_t i = 0; i < count; ++i) {
      last[i] = prices[i] > 0.0 ? prices[i] : last[i];
      const double now = held[i] * last[i];
      worth[i] = held[i] != 0.0 ? now : 0.0;
    }
    double total = cash_;
    for (size_t i = 0; i < count; ++i) total += worth[i];
    return total;
  }

  // Leaves nothing held and this much cash: nothing trades after ruin.
  void stop(double left) {
    std::fill(held_.begin(), held_.end(), 0.0);
    cash_ = left;
  }

  // Trades to the weights at these prices. What has no price now is left as it is.
  void rebalance(const double* weights, const double* prices, double& cost, double& turnover) {
    const double equity = value(prices);
    if (!(equity > 0.0)) return;
    const size_t count = held_.size();
    const double rate = portfolio_.cost, fixed = portfolio_.fixed_cost, lot = portfolio_.lot;
    double* const __restrict held = held_.data();
    double* const __restrict quantity = quantity_.data();
    double* const __restrict traded = traded_.data();
    double* const __restrict paid = paid_.data();
    for (size_t i = 0; i < count; ++i) {
      const double due = fee(weights[i] * equity - held[i] * prices[i], rate, fixed);
      paid[i] = is_tradable(weights[i], prices[i]) ? due : 0.0;
    }
    double first = 0.0;
    for (size_t i = 0; i < count; ++i) first += paid[i];
    // Weights are of what is left after the costs; sales come before purchases.
    const double left = equity - first;
    for (size_t i = 0; i < count; ++i) quantity[i] = weights[i] * left / prices[i];
    if (lot > 0.0) {
      for (size_t i = 0; i < count; ++i) {
        quantity[i] = std::trunc(quantity[i] / lot + std::copysign(1e-9, quantity[i])) * lot;
      }
    }
    for (size_t i = 0; i < count; ++i) {
      const double change = quantity[i] - held[i];
      const double bought = is_tradable(weights[i], prices[i]) ? change : 0.0;
      const double amount = bought * prices[i];
      const double after = weights[i] == 0.0 ? 0.0 : held[i] + bought;
      traded[i] = bought != 0.0 ? amount : 0.0;
      paid[i] = fee(traded[i], rate, fixed);
      held[i] = bought != 0.0 ? after : held[i];
      quantity[i] = bought;
    }
    // The side of a trade cannot be predicted: a list of each side is written without branches.
    size_t* const __restrict side = order_.data();
    double cash = cash_, costs = cost, sizes = turnover;
    for (const double sign : {-1.0, 1.0}) {
      size_t trades = 0;
      for (size_t i = 0; i < count; ++i) {
        side[trades] = i;
        trades += sign * quantity[i] > 0.0;
      }
      for (size_t k = 0; k < trades; ++k) {
        const size_t i = side[k];
        cash -= traded[i] + paid[i];
        costs += paid[i];
        sizes += std::abs(traded[i]);
      }
    }
    cash_ = cash;
    cost = costs;
    turnover = sizes;
  }

 private:
  static bool is_tradable(double weight, double price) {
    return (price > 0.0) & (std::abs(weight) < std::numeric_limits<double>::infinity());
  }

  static double fee(double value, double rate, double fixed) {
    return std::abs(value) * rate + (value == 0.0 ? 0.0 : fixed);
  }

  const Portfolio& portfolio_;
  double cash_;
  std::vector<double> held_, price_;
  std::vector<double> quantity_, traded_, paid_;  // of one rebalance
  std::vector<size_t> order_;
};

}  // namespace

void run_portfolio(const Portfolio& portfolio, double* equity, double* cash, double* units,
                   double* cost, double* turnover) {
  PortfolioAccount account(portfolio);
  const int64_t width = portfolio.assets;
  bool ruined = false;
  for (int64_t t = 0; t < portfolio.bars; ++t) {
    cost[t] = turnover[t] = 0.0;
    const int64_t seen =
        portfolio.same_close ? t : t - 1;  // the row that decides this bar's trades
    const double* weights = seen >= 0 ? portfolio.weights + seen * width : nullptr;
    const bool trades = weights && !std::isnan(weights[0]) && !ruined;
    const double* close = portfolio.close + t * width;
    if (trades && !portfolio.same_close) {
      account.rebalance(weights, portfolio.open + t * width, cost[t], turnover[t]);
    }
    double now = account.value(close);
    if (trades && portfolio.same_close) {
      account.rebalance(weights, close, cost[t], turnover[t]);
      now = account.value(close);
    }
    if (now <= 0.0 && !ruined) {
      ruined = true;
      account.stop(now);
    }
    equity[t] = now;
    cash[t] = account.cash();
    if (units) std::copy(account.held().begin(), account.held().end(), units + t * width);
  }
}

}  // namespace marketsim::replay
