// The ten gates between probabilities and an entry, in the original's order.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/legacy/genesis/records.hpp"

namespace marketsim::genesis {

constexpr size_t kBuy = 0, kSell = 1;

// What a decision leaves to the next one.
struct Memory {
  int8_t last_action = 0;
  int32_t steps = 0, cooldown = 0, higher_bar = -1, lower_bar = -1, summary_bar = -1;
  std::vector<double> history[2];
};

// Linear between ranks; share in 0..1.
inline double percentile_of(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  if (share <= 0.0) return values.front();
  if (share >= 1.0) return values.back();
  const double place = static_cast<double>(values.size() - 1) * share;
  const double below = std::floor(place), above = std::ceil(place);
  if (below == above) return values[static_cast<size_t>(place)];
  return values[static_cast<size_t>(below)] * (above - place) +
         values[static_cast<size_t>(above)] * (place - below);
}

class Gates {
 public:
  Gates(const Inputs& in, const Settings& settings) : in_(in), set_(settings) {}

  // Decides at a bar: fills the row's decision and changes the memory.
  void decide(size_t bar, Memory& memory, BarRow& row) {
    bar_ = bar;
    memory_ = &memory;
    row_ = &row;
    row.action = row.candidate = row.zone = row.overridden = row.higher = row.lower = kNone;
    row.size = 0.0;
    row.override_threshold = set_.override_threshold;
    row.gate = pass();
    if (row.gate == kEntry) row.action = row.candidate;
    row.steps = memory.steps;
    row.cooldown = memory.cooldown;
    row.last_action = memory.last_action;
    row.higher_bar = memory.higher_bar;
    row.lower_bar = memory.lower_bar;
    row.summary_bar = memory.summary_bar;
    row.history = static_cast<int32_t>(memory.history[row.candidate < 0 ? kSell : kBuy].size());
  }

 private:
  Gate pass() {
    const double buy = in_.p_buy[bar_], sell = in_.p_sell[bar_];
    if (std::max(buy * set_.reward - sell, sell * set_.reward - buy) <= 0.0) return kExpectedValue;
    if (set_.event_block) return kEventBlock;
    if (set_.risk_cap) return kRiskCap;
    row_->zone = zone();
    const auto zone = static_cast<size_t>(row_->zone);
    const Gate chosen = choose(buy, sell, zone);
    if (chosen != kEntry) return chosen;
    const double confidence = confidence_of(row_->candidate);
    if (set_.lower_gate) remember(confidence);
    const Gate higher = higher_gate(confidence);
    if (higher != kEntry) return higher;
    const Gate lower = lower_gate();
    if (lower != kEntry) return lower;
    memory_->summary_bar = static_cast<int32_t>(bar_);
    if (confidence < set_.zone_entry[zone]) return kConfidence;
    if (set_.min_edge > 0.0 && (row_->candidate > 0 ? buy - sell : sell - buy) < set_.min_edge) {
      return kEdge;
    }
    return enter(confidence);
  }

  double confidence_of(int side) const {
    const double p = side > 0 ? in_.p_buy[bar_] : in_.p_sell[bar_];
    return p < 0.0 ? 0.0 : p > 1.0 ? 1.0 : p;
  }

  int8_t zone() const {
    const double atr = in_.atr[bar_], first = in_.percentiles[bar_];
    if (!set_.adapts || atr != atr || first != first) return 0;  // no percentiles at all
    if (set_.percentile < 0) return 1;
    const size_t at = static_cast<size_t>(set_.percentile) * 2 * in_.bars + bar_;
    const double p40 = in_.percentiles[at], p80 = in_.percentiles[at + in_.bars];
    if (p40 != p40 || atr <= p40) return 1;
    return atr <= p80 ? 2 : 3;
  }

  Gate choose(double buy, double sell, size_t zone) {
    const auto regime = static_cast<size_t>(in_.regime[bar_]);
    const double threshold = set_.zone_threshold[zone * 4 + regime];
    const bool up = buy >= threshold, down = sell >= threshold;
    if (!up && !down) return kThreshold;
    if (up && down) {
      if (std::abs(buy - sell) < 1e-12) {
        row_->candidate = memory_->last_action;
        if (row_->candidate == 0) row_->candidate = regime == 1 ? 1 : regime == 0 ? -1 : 0;
        return row_->candidate == 0 ? kTie : kEntry;
      }
      row_->candidate = buy > sell ? 1 : -1;
    } else {
      row_->candidate = up ? 1 : -1;
    }
    return kEntry;
  }

  // The history of confidences, and the threshold above which a block is overridden.
  void remember(double confidence) {
    std::vector<double>& history = memory_->history[row_->candidate > 0 ? kBuy : kSell];
    history.push_back(confidence);
    if (history.size() > static_cast<size_t>(set_.history_rows)) history.erase(history.begin());
    double threshold = set_.override_threshold;
    if (set_.may_override && set_.adaptive) {
      const bool enough = history.size() >= static_cast<size_t>(set_.history_least);
      threshold = enough ? percentile_of(history, set_.override_share) : set_.override_fallback;
      threshold *= set_.override_multiplier[static_cast<size_t>(in_.regime[bar_])];
      if (set_.override_floor == set_.override_floor) {
        threshold = std::max(threshold, set_.override_floor);
      }
      if (set_.override_ceiling == set_.override_ceiling) {
        threshold = std::min(threshold, set_.override_ceiling);
      }
    }
    row_->override_threshold = std::min(std::max(threshold, 0.0), 1.0);
  }

  double tolerance(double ranges) const {
    const double atr = in_.atr[bar_];
    return atr > 0.0 ? ranges * atr : 0.0;
  }

  Gate higher_gate(double confidence) {
    if (!set_.higher_gate) {
      if (set_.higher_disabled && memory_->higher_bar < 0) found_higher(kDisabled);
      return kEntry;
    }
    if (!in_.higher_ok[bar_]) {
      found_higher(set_.higher_pass ? kUnavailablePass : kUnavailable);
      return set_.higher_pass ? kEntry : kHigherMissing;
    }
    const Finding finding = compare_higher();
    if (finding == kTarget) {
      found_higher(kTarget);
    } else if (finding != kNone) {
      const int8_t source = override_source(confidence);
      found_higher(finding + source);
      if (source == 0) return kHigherBlock;
      row_->overridden = 1;
    } else if (memory_->higher_bar < 0) {
      found_higher(kPass);
    }
    return kEntry;
  }

  void found_higher(int finding) {
    row_->higher = static_cast<int8_t>(finding);
    memory_->higher_bar = static_cast<int32_t>(bar_);
  }

  Finding compare_higher() const {
    const bool up = row_->candidate > 0;
    const double price = in_.close[bar_], width = tolerance(set_.higher_tolerance);
    const auto level = [&](int64_t k) {
      return in_.higher_levels[static_cast<size_t>(k) * in_.bars + bar_];
    };
    const std::vector<int64_t>& targets = up ? set_.long_targets : set_.short_targets;
    for (const int64_t target : targets) {
      if (std::abs(price - level(target)) <= width) return kTarget;
    }
    const int64_t limit = up ? set_.long_min : set_.short_max;
    if (limit >= 0 && (up ? price < level(limit) - width : price > level(limit) + width)) {
      return kBeyondLevel;
    }
    return targets.empty() ? kNone : kOffTarget;
  }

  int8_t override_source(double confidence) const {
    if (!set_.lower_gate) return 0;
    if (set_.may_override && confidence >= row_->override_threshold) return kOverriddenByThreshold;
    const bool inside = set_.range_min <= confidence && confidence <= set_.range_max;
    return set_.range_override && inside ? kOverriddenByRange : 0;
  }

  Gate lower_gate() {
    if (!set_.lower_gate) return kEntry;
    memory_->lower_bar = static_cast<int32_t>(bar_);
    if (!in_.lower_ok[bar_]) {
      // A missing context that is let through is reported as a pass without levels.
      row_->lower = set_.lower_pass ? kUnavailablePass : kUnavailable;
      return set_.lower_pass ? kEntry : kLowerMissing;
    }
    const bool up = row_->candidate > 0;
    const double price = in_.close[bar_], width = tolerance(set_.lower_tolerance);
    const int64_t limit = up ? set_.long_max : set_.short_min;
    if (limit >= 0) {
      const double level = in_.lower_levels[static_cast<size_t>(limit) * in_.bars + bar_];
      if (up ? price > level + width : price < level - width) {
        row_->lower = kBeyondLevel;
        return kLowerBlock;
      }
    }
    row_->lower = kPass;
    return kEntry;
  }

  Gate enter(double confidence) {
    if (memory_->last_action != 0 && row_->candidate != memory_->last_action) {
      if (++memory_->steps < set_.hysteresis) return kHysteresis;
    } else {
      memory_->steps = 0;
    }
    if (memory_->cooldown > 0) {
      --memory_->cooldown;
      return kCooldown;
    }
    for (size_t k = 0; k < set_.risk_confidence.size(); ++k) {
      if (confidence >= set_.risk_confidence[k]) row_->size = set_.risk_size[k];
    }
    memory_->last_action = row_->candidate;
    if (set_.cooldown > 0) memory_->cooldown = static_cast<int32_t>(set_.cooldown);
    return kEntry;
  }

  const Inputs& in_;
  const Settings& set_;
  size_t bar_ = 0;
  Memory* memory_ = nullptr;
  BarRow* row_ = nullptr;
};

}  // namespace marketsim::genesis
