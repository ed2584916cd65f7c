// Which of the field's conventions an indicator follows, where there is more than one.
#pragma once

namespace marketsim::indicators {

enum class Option {
  first,   // starts at the first bar
  mean,    // starts at a mean of the first n, NaN before (TA-Lib)
  talib,   // as TA-Lib in what it does with bars that do not move
  neutral  // RSI: 50 before it has n moves
};

}  // namespace marketsim::indicators
