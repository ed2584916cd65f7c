// simd.hpp for one thread of a GPU, or of its emulation: a lane is a thread.
//
// The answers are those of the other instruction sets to the last bit. On the device every addition
// and multiplication is an intrinsic that rounds once and is never fused with another; on the host
// the compiler's flags say so (-ffp-contract=off).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/annotate.hpp"

namespace marketsim::MARKETSIM_ISA {

constexpr size_t kLanes = 1;
struct F {
  float v;
};
struct D {
  double v;
};
using M = bool;

#if defined(__CUDA_ARCH__)
inline MARKETSIM_FN F operator+(F x, F y) {
  return {__fadd_rn(x.v, y.v)};
}
inline MARKETSIM_FN F operator-(F x, F y) {
  return {__fsub_rn(x.v, y.v)};
}
inline MARKETSIM_FN F operator*(F x, F y) {
  return {__fmul_rn(x.v, y.v)};
}
inline MARKETSIM_FN D operator+(D x, D y) {
  return {__dadd_rn(x.v, y.v)};
}
inline MARKETSIM_FN D operator-(D x, D y) {
  return {__dsub_rn(x.v, y.v)};
}
inline MARKETSIM_FN D scale(D v, double by) {
  return {__dmul_rn(v.v, by)};
}
inline MARKETSIM_FN uint32_t bits_of(F v) {
  return __float_as_uint(v.v);
}
inline MARKETSIM_FN F from_bits(uint32_t bits) {
  return {__uint_as_float(bits)};
}
// Of two numbers the larger one, with -0 below +0; of a number and a NaN the number.
inline MARKETSIM_FN F larger_number(F x, F y) {
  return {fmaxf(x.v, y.v)};
}
inline MARKETSIM_FN F smaller_number(F x, F y) {
  return {fminf(x.v, y.v)};
}
// x * y + z, rounded once: only where a bound allows for it, or the product is exact.
inline MARKETSIM_FN F multiply_add(F x, F y, F z) {
  return {__fmaf_rn(x.v, y.v, z.v)};
}
inline MARKETSIM_FN double multiply_add(double x, double y, double z) {
  return __fma_rn(x, y, z);
}
// ++count where the mask is set: one instruction, which the compiler makes three of.
inline MARKETSIM_FN void count_if(M mask, uint32_t& count) {
  asm("{\n\t.reg .pred p;\n\tsetp.ne.u32 p, %1, 0;\n\t@p add.u32 %0, %0, 1;\n\t}"
      : "+r"(count)
      : "r"(static_cast<uint32_t>(mask)));
}
// sum + v * v for a v that was a float: its square is exact, so that it does not matter that the
// two operations are one here.
inline MARKETSIM_FN D add_square(D v, D sum) {
  return {__fma_rn(v.v, v.v, sum.v)};
}
#else
inline MARKETSIM_FN F operator+(F x, F y) {
  return {x.v + y.v};
}
inline MARKETSIM_FN F operator-(F x, F y) {
  return {x.v - y.v};
}
inline MARKETSIM_FN F operator*(F x, F y) {
  return {x.v * y.v};
}
inline MARKETSIM_FN D operator+(D x, D y) {
  return {x.v + y.v};
}
inline MARKETSIM_FN D operator-(D x, D y) {
  return {x.v - y.v};
}
inline MARKETSIM_FN D scale(D v, double by) {
  return {v.v * by};
}
inline MARKETSIM_FN uint32_t bits_of(F v) {
  uint32_t bits;
  std::memcpy(&bits, &v.v, sizeof bits);
  return bits;
}
inline MARKETSIM_FN F from_bits(uint32_t bits) {
  F v;
  std::memcpy(&v.v, &bits, sizeof bits);
  return v;
}
// As the device's instruction does, zeros of both signs included.
inline MARKETSIM_FN F larger_number(F x, F y) {
  if (x.v == y.v) return bits_of(x) >> 31 ? y : x;
  return x.v > y.v || y.v != y.v ? x : y;
}
inline MARKETSIM_FN F smaller_number(F x, F y) {
  if (x.v == y.v) return bits_of(x) >> 31 ? x : y;
  return x.v < y.v || y.v != y.v ? x : y;
}
inline MARKETSIM_FN F multiply_add(F x, F y, F z) {
  return {std::fma(x.v, y.v, z.v)};
}
// Rounded twice here, which the bounds allow for as well.
inline MARKETSIM_FN double multiply_add(double x, double y, double z) {
  return x * y + z;
}
inline MARKETSIM_FN void count_if(M mask, uint32_t& count) {
  count += mask;
}
inline MARKETSIM_FN D add_square(D v, D sum) {
  return {sum.v + v.v * v.v};
}
#endif

inline MARKETSIM_FN F operator-(F v) {
  return from_bits(bits_of(v) ^ 0x80000000u);
}
inline MARKETSIM_FN F load(const float* from) {
  return {*from};
}
inline MARKETSIM_FN F load_first(const float* from, size_t count) {
  return {count == 0 ? 0.0f : *from};
}
inline MARKETSIM_FN void store(float* to, F v) {
  *to = v.v;
}
inline MARKETSIM_FN F broadcast(float v) {
  return {v};
}
inline MARKETSIM_FN M less_equal(F x, F y) {
  return x.v <= y.v;
}
inline MARKETSIM_FN M equal(F x, F y) {
  return x.v == y.v;
}
inline MARKETSIM_FN M both(M x, M y) {
  return x && y;
}
inline MARKETSIM_FN M either(M x, M y) {
  return x || y;
}
inline MARKETSIM_FN M invert(M x) {
  return !x;
}
inline MARKETSIM_FN M choose_mask(M mask, M yes, M no) {
  return mask ? yes : no;
}
inline MARKETSIM_FN F choose(M mask, F yes, F no) {
  return mask ? yes : no;
}
inline MARKETSIM_FN F keep(M mask, F v) {
  return mask ? v : F{0.0f};
}
inline MARKETSIM_FN M is_negative(F v) {
  return bits_of(v) >> 31 != 0;
}
// The second one where they are equal or one is NaN, as on x86.
inline MARKETSIM_FN F maximum(F x, F y) {
  return x.v > y.v ? x : y;
}
inline MARKETSIM_FN F minimum(F x, F y) {
  return x.v < y.v ? x : y;
}
// minimum(maximum(v, low), high) in two of the device's own instructions. Where these give -0 the
// kernels either have 0 as a bound, which x86 then returns, or add 0 themselves: so it is added.
inline MARKETSIM_FN F clamp(F v, F low, F high) {
  return smaller_number(larger_number(v, low), high) + F{0.0f};
}
// The same where nobody sees the sign of a zero.
inline MARKETSIM_FN F clamp_number(F v, F low, F high) {
  return smaller_number(larger_number(v, low), high);
}
struct Pair {
  F first, second;
};
// (x, y) where the mask is set, (-y, -x) elsewhere.
inline MARKETSIM_FN Pair mirror(M mask, F x, F y) {
  return {choose(mask, x, -y), choose(mask, y, -x)};
}
inline MARKETSIM_FN F next_up(F v) {
  const uint32_t bits = bits_of(v);
  return from_bits(v.v == 0.0f ? 1u : v.v > 0.0f ? bits + 1u : bits - 1u);
}
// The float next to v, away from 0.
inline MARKETSIM_FN F next_outwards(F v) {
  return from_bits(bits_of(v) + 1u);
}
inline MARKETSIM_FN D broadcast_double(double v) {
  return {v};
}
inline MARKETSIM_FN D to_double(F v) {
  return {static_cast<double>(v.v)};
}
inline MARKETSIM_FN F to_float(D v) {
  return {static_cast<float>(v.v)};
}

}  // namespace marketsim::MARKETSIM_ISA
