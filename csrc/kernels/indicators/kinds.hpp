// The table of kinds: name, type. Its order is the number of a kind.
#pragma once

#define MARKETSIM_RECURSIVE_KINDS(X)   \
  X(ema, Ema)                          \
  X(wilder, Wilder)                    \
  X(true_range, TrueRange)             \
  X(atr, Atr)                          \
  X(rsi, Rsi)                          \
  X(adx, Adx)                          \
  X(macd, Macd)                        \
  X(keltner, Keltner)                  \
  X(volatility_ratio, VolatilityRatio) \
  X(obv, Obv)                          \
  X(vwap, Vwap)

#define MARKETSIM_WINDOW_KINDS(X)                   \
  X(sma, Sma)                                       \
  X(wma, Wma)                                       \
  X(rolling_std, RollingStd)                        \
  X(zscore, ZScore)                                 \
  X(bollinger, Bollinger)                           \
  X(correlation, Correlation)                       \
  X(rolling_max, RollingMax)                        \
  X(rolling_min, RollingMin)                        \
  X(donchian, Donchian)                             \
  X(stochastic, Stochastic)                         \
  X(close_volatility, CloseVolatility)              \
  X(parkinson_volatility, ParkinsonVolatility)      \
  X(garman_klass_volatility, GarmanKlassVolatility) \
  X(yang_zhang_volatility, YangZhangVolatility)
