// What a device costs an hour: the catalogue's price, a file of prices over it, single ones over both.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catalog/catalog.h"

namespace kvroof {

using Prices = std::map<std::string, Price>;  ///< by device id

/// `2.50/h`, `$2.50`, `2.5`. Throws InputError naming `where`.
double dollars_per_hour_of(const std::string& where, const std::string& text);

/// `--prices` files (YAML: `h100-sxm: 2.50/h`), then `--price DEVICE=2.50/h`.
Prices prices_of(const std::vector<std::string>& files, const std::vector<std::string>& single, const Catalog& catalog);

}  // namespace kvroof
