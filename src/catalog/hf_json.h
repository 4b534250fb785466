// config.json as values: parsing that trusts nothing, and typed look-ups that name the key when they fail.
//
// Files hold bare Infinity and NaN, which are no JSON, so those are masked first; depth, size and the number
// of values are bounded before anything is built. A null counts as absent everywhere, as the classes treat it.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/quantity.h"

namespace kvroof::hf {

using Json = nlohmann::json;
/// Names of one meaning in order of preference; `a.b` looks inside the object `a`.
using Keys = std::span<const std::string_view>;

/// How a file that cannot be imported leaves the importer; caught at its rim, never seen outside.
struct Refused {
  std::string what;
};

[[noreturn]] void refuse(std::string what);
/// Text from a file, fit for one line of a terminal.
std::string printable(std::string_view text);

Json parse(std::string_view text);

/// A product of sizes, refused past 2^52: more weights than any model has.
i64 product(std::initializer_list<i64> sizes);

/// One object of the file: the text model's, with what it inherits from the file around it.
class Config {
 public:
  Config(const Json& object, std::string path, const Json* outer = nullptr)
      : object_(&object), outer_(outer), path_(std::move(path)) {}

  /// Null when absent or null.
  const Json* find(std::string_view key) const;
  /// As find, then in the file around it.
  const Json* inherited(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Present, but null: where a class reads that as none and not as its default.
  bool is_null(std::string_view key) const { return object_->contains(key) && (*object_)[std::string(key)].is_null(); }

  /// The first name present; a whole number from `least` to `most`. A list of equal numbers counts as that number.
  std::optional<i64> whole(Keys keys, i64 least, i64 most) const;
  std::optional<i64> whole(std::string_view key, i64 least, i64 most) const {
    return whole(Keys(&key, 1), least, most);
  }
  i64 need(Keys keys, i64 least, i64 most) const;
  i64 need(std::string_view key, i64 least, i64 most) const { return need(Keys(&key, 1), least, most); }
  /// A number, or the i-th of a list with one number per layer.
  std::optional<i64> whole_of_layer(Keys keys, i64 layer, i64 least, i64 most) const;
  std::optional<double> real(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  const Json* list(std::string_view key) const;
  /// The list's whole numbers.
  std::vector<i64> wholes(std::string_view key, i64 least, i64 most) const;

  /// `what` at a key of this object: "text_config.hidden_size: missing".
  [[noreturn]] void fail(std::string_view key, std::string_view what) const;
  const std::string& path() const { return path_; }

 private:
  const Json* object_;
  const Json* outer_;
  std::string path_;  ///< "text_config.", or empty
};

}  // namespace kvroof::hf
