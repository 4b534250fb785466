// The catalogue: models, devices, engines and the width of ranges, found by id or alias.
//
// The built-in files are compiled in; a user's files are layered over them (a later file's entry replaces an
// earlier one of the same id). Starting costs no YAML: the built-in entries were found and read when kvroof was built
// (packed.h), and stand until a layer above replaces them or what they draw on. In a user's file a scan of line starts
// finds the entries, and only those asked for are parsed. Everything wrong in an entry is reported at its place.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/reader.h"
#include "core/step.h"

namespace kvroof {

/// One entry's text and where it starts: `section` is models, devices, classes, kernels, engines or ranges.
struct Entry {
  std::string_view section;
  std::string_view id;
  std::string_view file;
  int first_line = 0;  ///< from 0
  std::string_view text;
  std::string_view aliases;  ///< of a built-in entry, one a line
  std::string_view packed;   ///< its spec; empty where only the text says it
};

inline constexpr std::string_view sections[] = {"models", "devices", "classes", "kernels", "engines", "ranges"};

/// Where a field of an entry stands.
struct Location {
  std::string file;
  int line = 0;       ///< from 0
  std::string entry;  ///< id of the entry asked for, whatever it was called
  bool own = false;   ///< the entry or a base of it has the field; a device's figure may also be its class's
};

class Catalog {
 public:
  /// The catalogue compiled into this binary.
  static const Catalog& built_in();

  /// Layers a file of the same format over what is there. Throws InputError.
  void add_file(const std::string& path);
  void add_text(const std::string& file, std::string text);
  /// A device's price, over what its entry says. Throws InputError when there is no such device.
  void set_price(std::string_view device, Price price);
  bool has_price_set(std::string_view id) const { return prices_.contains(std::string(id)); }

  /// By id, then alias, then Hugging Face name; throws InputError with the nearest names when there is none.
  Model model(std::string_view name) const;
  Device device(std::string_view name) const;
  Engine engine(std::string_view name) const;
  /// What devices of that class reach where they have no measurements of their own.
  Achievable family(std::string_view device_class) const;
  RangeRule range(Basis basis) const;
  /// Of one kernel alone, where it has no rows of its own on the device: wider than of a whole step.
  RangeRule kernel_range(Basis basis) const;

  std::vector<std::string> ids(std::string_view section) const;
  const std::vector<Entry>& entries() const { return entries_; }
  /// An entry's spec and aliases, as the built-in catalogue keeps them. Throws InputError.
  std::string packed(const Entry& entry) const;
  std::string aliases(const Entry& entry) const;
  bool has(std::string_view section, std::string_view name) const { return find(section, name) != nullptr; }
  /// Where an entry stands, for messages: `models.yaml:12`.
  std::string place(std::string_view section, std::string_view id) const;
  /// Where a field of an entry stands, or as near as the entry goes; a device's inherited figures stand in its class.
  Location locate(std::string_view section, std::string_view name, const std::vector<std::string>& field) const;
  /// All that is wrong with any entry: unknown keys, bad values, problems of the specs, ambiguous aliases.
  std::vector<std::string> lint() const;

 private:
  template <class Spec>
  Spec spec(const Entry& entry) const;
  Device read_device(const Entry& entry) const;
  KernelTable kernels(std::string_view device) const;
  RangeRule range_named(std::string_view name) const;
  const Entry* find_id(std::string_view section, std::string_view id) const;
  const Entry* find(std::string_view section, std::string_view name) const;
  const Entry& need(std::string_view section, std::string_view name, std::string_view what) const;
  bool has_alias(const Entry& entry, std::string_view name) const;
  bool rests_on_built_in(const Device& device) const;
  std::vector<std::string> known_names(std::string_view section) const;

  struct File {
    std::string name, text;
  };
  std::vector<std::shared_ptr<const File>> files_;  ///< of the user: what their entries point into
  std::vector<Entry> entries_;
  std::map<std::string, Price> prices_;  ///< that were set, by device id
};

/// Reads one catalogue entry (`id: {…}` with its fields) into a spec; problems go to the source.
Model read_model(Source& source, const std::string& id, const YAML::Node& node);

}  // namespace kvroof
