// What a device costs an hour: the catalogue's price, a file of prices over it, the command line's over both.
#pragma once

#include <string>
#include <vector>

#include "catalog/catalog.h"

namespace kvroof {

/// `2.50/h`, `$2.50`, `2.5`. Throws InputError naming `where`.
double dollars_per_hour_of(const std::string& where, const std::string& text);

/// A `--prices` file (YAML: `h100-sxm: 2.50/h`). Throws InputError.
void add_prices(Catalog& catalog, const std::string& path);

/// The last of the `--price` texts that is about the device: `2.50/h` is about any, `h100-sxm=2.50/h` about one. Throws
/// InputError where one is no price.
std::optional<Price> price_given(const std::vector<std::string>& texts, const Device& device);

/// Whether a `--price` text names its device.
bool names_device(const std::string& text);

}  // namespace kvroof
