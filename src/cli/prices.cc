#include "cli/prices.h"

#include <fstream>
#include <iterator>

#include "core/units.h"

namespace kvroof {
namespace {

void add_file(Prices& prices, const std::string& path, const Catalog& catalog) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError{path + ": can't be opened\n"};
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  Source source(path, text);
  YAML::Node document = load_yaml(source, text);
  if (!document.IsMap()) throw InputError{path + ": expected lines such as 'h100-sxm: 2.50/h'\n"};
  for (const auto& entry : document) {
    std::string name = entry.first.Scalar();
    if (!catalog.has("devices", name))
      source.problem(entry.first.Mark(), "unknown device '" + name + "'", "'kvroof hardware' lists all of them");
    else if (!entry.second.IsScalar())
      source.problem(entry.second.Mark(), "expected a price such as 2.50/h");
    else
      try {
        prices[catalog.device(name).id] = {dollars_per_hour_of(name, entry.second.Scalar()), path};
      } catch (const InputError& e) { source.problem(entry.second.Mark(), e.message.substr(0, e.message.find('\n'))); }
  }
  source.throw_if_any();
}

}  // namespace

double dollars_per_hour_of(const std::string& where, const std::string& text) {
  std::string_view rest, number = text;
  if (number.starts_with("$")) number.remove_prefix(1);
  std::optional<double> dollars = parse_decimal(number, &rest);
  if (!dollars || !(rest.empty() || rest == "/h") || *dollars <= 0)
    throw InputError{where + ": '" + text + "' is not a price such as 2.50/h\n"};
  return *dollars;
}

Prices prices_of(const std::vector<std::string>& files, const std::vector<std::string>& single,
                 const Catalog& catalog) {
  Prices prices;
  for (const std::string& file : files) add_file(prices, file, catalog);
  for (const std::string& text : single) {
    std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw InputError{"--price: '" + text + "' is not DEVICE=PRICE such as h100-sxm=2.50/h\n"};
    std::string id = catalog.device(text.substr(0, equals)).id;
    prices[id] = {dollars_per_hour_of("--price " + id, text.substr(equals + 1)), "--price"};
  }
  return prices;
}

}  // namespace kvroof
