// The built-in catalogue: a table into bytes that the binary holds, so that nothing is read or copied to have it.
#include "catalog/built_in.h"

#include "catalog/catalog.h"

namespace kvroof {

const Catalog& Catalog::built_in() {
  static const Catalog catalog = [] {
    Catalog c;
    for (const BuiltInEntry& row : built_in_entries()) {
      bool model = sections[row.section] == "models";
      std::string_view text = (model ? built_in_models() : built_in_hardware()).substr(row.text, row.text_size);
      std::string_view packed = built_in_packed().substr(row.packed);
      c.entries_.push_back({sections[row.section], text.substr(2, row.id_size), model ? "models.yaml" : "hardware.yaml",
                            row.first_line, text, packed.substr(0, row.aliases_size),
                            packed.substr(row.aliases_size, row.spec_size)});
    }
    return c;
  }();
  return catalog;
}

}  // namespace kvroof
