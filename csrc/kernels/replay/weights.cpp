// Target weights over many instruments that share one account.
#include <algorithm>
#include <cmath>
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
        tradable_(static_cast<size_t>(portfolio.assets), 0) {}

  double cash() const { return cash_; }
  const std::vector<double>& held() const { return held_; }

  // Takes the prices of a bar: an instrument without one keeps the last.
  double value(const double* prices) {
    double total = cash_;
    for (size_t i = 0; i < held_.size(); ++i) {
      if (prices[i] > 0.0) price_[i] = prices[i];
      if (held_[i] != 0.0) total += held_[i] * price_[i];
    }
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
    double first = 0.0;
    for (size_t i = 0; i < held_.size(); ++i) {
      const double gap = weights[i] * equity - held_[i] * prices[i];
      tradable_[i] = prices[i] > 0.0 && std::isfinite(weights[i]);
      if (tradable_[i]) first += fee(gap);
    }
    // Weights are of what is left after the costs; sales come before purchases.
    const double left = equity - first;
    for (size_t i = 0; i < held_.size(); ++i) {
      double target = weights[i] * left / prices[i];
      if (portfolio_.lot > 0.0) {
        target = std::trunc(target / portfolio_.lot + std::copysign(1e-9, target)) * portfolio_.lot;
      }
      quantity_[i] = tradable_[i] ? target - held_[i] : 0.0;
    }
    for (const bool sales : {true, false}) {
      for (size_t i = 0; i < held_.size(); ++i) {
        const double quantity = quantity_[i];
        if (sales ? !(quantity < 0.0) : !(quantity > 0.0)) continue;
        const double traded = quantity * prices[i], paid = fee(traded);
        held_[i] = weights[i] == 0.0 ? 0.0 : held_[i] + quantity;
        cash_ -= traded + paid;
        cost += paid;
        turnover += std::abs(traded);
      }
    }
  }

 private:
  double fee(double value) const {
    return std::abs(value) * portfolio_.cost + (value == 0.0 ? 0.0 : portfolio_.fixed_cost);
  }

  const Portfolio& portfolio_;
  double cash_;
  std::vector<double> held_, price_, quantity_;
  std::vector<char> tradable_;
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
