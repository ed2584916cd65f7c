#include "cuda/offsets_launch.hpp"

#include <algorithm>

#include "cuda/offsets_large.hpp"
#include "cuda/offsets_small.hpp"

namespace marketsim::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kMostWorkspace = size_t{4} << 30;

void append(OffsetGroups& to, const OffsetGroup& group) {
  to.group[to.count] = group;
  to.first[to.count + 1] = to.first[to.count] + group.windows.problems.count;
  ++to.count;
}

void plan_small(OffsetPlan& plan) {
  SmallPlan& to = plan.for_small;
  size_t most = 0;
  for (size_t i = 0; i < plan.small.count; ++i) {
    const OffsetGroup& group = plan.small.group[i];
    most = std::max(most, device::most_candidates(group.rules, group.windows.problems.days));
  }
  to.threads = most <= kFewCandidates ? kFewThreads : kManyThreads;
  to.team_bytes = 0;
  for (size_t i = 0; i < plan.small.count; ++i) {
    const OffsetGroup& group = plan.small.group[i];
    const size_t days = group.windows.problems.days;
    device::SmallTables unused;
    const size_t bytes =
        to.threads == kFewThreads
            ? device::lay_out_small<kFewTile>(group.rules, days, nullptr, &unused)
            : device::lay_out_small<kManyTile>(group.rules, days, nullptr, &unused);
    to.team_bytes = std::max(to.team_bytes, bytes);
  }
  if (to.threads == kFewThreads) {  // the teams of a warp read at the same time: from other banks
    constexpr size_t kBanks = 128, kTeam = 4 * kFewThreads;
    to.team_bytes = (to.team_bytes + kBanks - kTeam - 1) / kBanks * kBanks + kTeam;
  }
  constexpr size_t kShared = 48 * 1024;  // what every device gives without being asked
  const size_t whole = 128 / to.threads, each_warp = 32 / to.threads;
  to.teams = std::clamp(kShared / to.team_bytes / each_warp * each_warp, each_warp, whole);
}

}  // namespace

Error plan_offsets(const OffsetGroup* groups, size_t count, OffsetPlan* plan) {
  if (count > kMaxGroups) {
    return "at most " + std::to_string(kMaxGroups) + " groups at a time: got " +
           std::to_string(count);
  }
  *plan = {};
  for (size_t i = 0; i < count; ++i) {
    const size_t days = groups[i].windows.problems.days;
    if (groups[i].windows.problems.count == 0) continue;
    if (days > kMaxDays) {
      return "at most " + std::to_string(kMaxDays) + " days a problem: got " + std::to_string(days);
    }
    const bool small = device::most_candidates(groups[i].rules, days) <= device::kSmallCandidates;
    append(small ? plan->small : plan->large, groups[i]);
    if (small) continue;
    device::LargeWork unused;
    const size_t bytes = device::lay_out_large(groups[i].rules, days, nullptr, nullptr, 0, &unused);
    plan->large_bytes =
        std::max(plan->large_bytes, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  if (plan->small.count > 0) plan_small(*plan);
  return {};
}

Error offsets_workspace(const OffsetGroup* groups, size_t count, const Queue& queue,
                        Workspace* needed) {
  *needed = {0, 0};
  OffsetPlan plan;
  Error error = plan_offsets(groups, count, &plan);
  if (!error.empty() || plan.large.count == 0) return error;
  size_t blocks = 0;
  error = large_blocks(queue, &blocks);
  if (!error.empty()) return error;
  const size_t problems = plan.large.first[plan.large.count];
  blocks = std::min({blocks, problems, std::max<size_t>(kMostWorkspace / plan.large_bytes, 1)});
  *needed = {plan.large_bytes, plan.large_bytes * blocks};
  return {};
}

Error best_offsets(const OffsetGroup* groups, size_t count, void* workspace, size_t bytes,
                   const Queue& queue) {
  OffsetPlan plan;
  Error error = plan_offsets(groups, count, &plan);
  if (!error.empty()) return error;
  if (plan.large.count > 0) {
    Workspace needed;
    error = offsets_workspace(groups, count, queue, &needed);
    if (!error.empty()) return error;
    if (bytes < needed.least) {
      return "the workspace has " + std::to_string(bytes) + " bytes, needed are " +
             std::to_string(needed.least) + " at least";
    }
    const size_t blocks = std::min(bytes, needed.most) / plan.large_bytes;
    error = launch_large(plan.large, plan.large_bytes, workspace, blocks, queue);
    if (!error.empty()) return error;
  }
  if (plan.small.count == 0) return {};
  return launch_small(plan.small, plan.for_small, queue);
}

}  // namespace marketsim::cuda
