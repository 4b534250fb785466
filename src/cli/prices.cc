#include "cli/prices.h"

#include "catalog/text_file.h"
#include "core/units.h"

namespace kvroof {
namespace {

constexpr double most_dollars_per_hour = 1e9;

}  // namespace

void add_prices(Catalog& catalog, const std::string& path) {
  std::string text = read_text_file(path, "a file of prices");
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
        catalog.set_price(name, {dollars_per_hour_of(name, entry.second.Scalar()), path});
      } catch (const InputError& e) { source.problem(entry.second.Mark(), e.message.substr(0, e.message.find('\n'))); }
  }
  source.throw_if_any();
}

double dollars_per_hour_of(const std::string& where, const std::string& text) {
  std::string_view rest, number = text;
  if (number.starts_with("$")) number.remove_prefix(1);
  std::optional<double> dollars = parse_decimal(number, &rest);
  if (!dollars || !(rest.empty() || rest == "/h") || !(*dollars > 0 && *dollars <= most_dollars_per_hour))
    throw InputError{where + ": '" + text + "' is not a price such as 2.50/h\n"};
  return *dollars;
}

bool names_device(const std::string& text) { return text.find('=') != std::string::npos; }

std::optional<Price> price_given(const std::vector<std::string>& texts, const Device& device) {
  const Catalog& known = Catalog::built_in();
  std::optional<Price> given;
  for (const std::string& text : texts) {
    std::size_t begin = names_device(text) ? text.find('=') + 1 : 0;
    std::string name = text.substr(0, begin > 0 ? begin - 1 : 0);
    double dollars = dollars_per_hour_of(begin > 0 ? "--price " + name : "--price", text.substr(begin));
    bool alias = name != device.id && known.has("devices", name) && known.device(name).id == device.id;
    if (begin == 0 || name == device.id || alias) given = {dollars, "--price"};
  }
  return given;
}

}  // namespace kvroof
