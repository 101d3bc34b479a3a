// Counts the members of a plain struct at compile time. With the count, configs/fields/ refuses a field list that
// omits a member.
#pragma once

#include <cstddef>
#include <utility>

namespace terse::configs {

// Converts to any type. A struct of n members can be brace-initialized from n of these objects, but not from n + 1.
struct AnyMember {
  template <class T>
  operator T() const;  // never defined: used in unevaluated expressions only
};

template <class S, std::size_t... I>
constexpr bool takes_initializers(std::index_sequence<I...>) {
  return requires {
    S{(static_cast<void>(I), AnyMember{})...};
  };
}

template <class S, std::size_t N = 0>
constexpr std::size_t arity() {
  if constexpr (takes_initializers<S>(std::make_index_sequence<N + 1>{})) {
    return arity<S, N + 1>();
  } else {
    return N;
  }
}

}  // namespace terse::configs
