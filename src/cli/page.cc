#include "cli/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "catalog/suggest.h"
#include "render/document.h"
#include "render/number.h"

namespace kvroof {
namespace {

constexpr std::string_view end_mark = "<!-- end -->";

/// A figure as the page wants it: `/at/0/bytes GB`.
struct Unit {
  std::string_view name;
  std::string (*text)(double value);
};

constexpr Unit units[] = {
    {"size", [](double v) { return size(Bytes{v}); }},
    {"GB", [](double v) { return significant(v / 1e9, 3) + " GB"; }},
    {"MB", [](double v) { return significant(v / 1e6, 3) + " MB"; }},
    {"time", [](double v) { return duration(Seconds{v}); }},
    {"x", [](double v) { return significant(v, 3) + "x"; }},
    {"%", [](double v) { return significant(100 * v, 3) + " %"; }},
    {"tok/s", [](double v) { return speed_of(v); }},
    {"number", [](double v) { return significant(v, 4); }},
    {"$", [](double v) { return money(v); }},
    {"params", [](double v) { return parameters(v); }},
};

std::string trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return std::string(text);
}

/// What stands between `before` and `after` of a line that is nothing else.
std::optional<std::string> inside(std::string_view line, std::string_view before, std::string_view after) {
  std::string bare = trimmed(line);
  if (!bare.starts_with(before) || !bare.ends_with(after) || bare.size() < before.size() + after.size())
    return std::nullopt;
  return trimmed(std::string_view(bare).substr(before.size(), bare.size() - before.size() - after.size()));
}

bool is_fence(std::string_view line) { return trimmed(line).starts_with("```"); }

/// The command's words behind `$ kvroof` or `$ ./dev kvroof`; none for what is not ours.
std::optional<std::string> prompted(std::string_view line) {
  for (std::string_view prompt : {"$ kvroof ", "$ ./dev kvroof "})
    if (line.starts_with(prompt)) return std::string(line.substr(prompt.size()));
  return std::nullopt;
}

class Rewriter {
 public:
  Rewriter(const std::string& page, const std::string& text, const Ask& ask)
      : page_(page), ask_(ask), lines_(lines_of(text)) {}

  Rewritten run() {
    while (next_ < lines_.size()) {
      const std::string& line = lines_[next_];
      if (trimmed(line) == "```console")
        console();
      else if (is_fence(line))
        verbatim();
      else if (std::optional<std::string> command = inside(line, "<!-- kvroof ", "-->"))
        command->starts_with("$") ? define(*command) : block(*command);
      else
        sentence();
    }
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError{fmt::format("{}:{}: {}\n", page_, next_ + 1, what)};
  }

  void put(const std::string& line) { result_.text += line + "\n"; }
  void copy() { put(lines_[next_++]); }

  void changed(std::size_t line, const std::string& command, const std::string& before, const std::string& after) {
    if (before != after) result_.changes.push_back({int(line) + 1, command, before, after});
  }

  /// A page asks; it doesn't write. Only a chart goes to a file, and `report` writes that.
  void refuse_to_write(const std::vector<std::string>& arguments) const {
    constexpr std::string_view writing[] = {"--out", "--update", "--rows", "--save", "--record", "--into", "--also"};
    for (const std::string& a : arguments) {
      bool out = a.starts_with("-o") && !a.starts_with("--");
      if (out || std::find(std::begin(writing), std::end(writing), a.substr(0, a.find('='))) != std::end(writing))
        fail("'" + a + "' writes a file; a page only asks");
    }
  }

  /// Words as a shell would part them; what a shell would do more than that is refused.
  std::vector<std::string> words(const std::string& command) const {
    std::vector<std::string> found;
    char quote = 0;  ///< the one that is open
    bool open = false;
    for (char c : command) {
      if (quote != 0 ? c == quote : c == '\'' || c == '"') {
        quote = quote != 0 ? char(0) : c;
        if (!open) found.emplace_back();
        open = true;
      } else if (quote == 0 && c == ' ') {
        open = false;
      } else {
        if (quote == 0 && std::string_view("|&;<>$`{}()\\").find(c) != std::string_view::npos)
          fail(fmt::format("'{}' is a shell's; a page runs kvroof alone", c));
        if (!open) found.emplace_back();
        open = true;
        found.back() += c;
      }
    }
    if (quote != 0) fail("a quotation mark is open");
    if (found.empty()) fail("no command");
    if (found[0] == "report" || found[0] == "measure")
      fail(found[0] == "report" ? "a page can't rewrite pages" : "measure answers differently each time");
    return found;
  }

  Said answer(std::vector<std::string> arguments, const std::string& format, bool messages) {
    if (!format.empty()) arguments.insert(arguments.end(), {"--format", format});
    std::string key = messages ? "1" : "0";
    for (const std::string& a : arguments) key += '\n' + a;
    auto [at, fresh] = answers_.try_emplace(key);
    if (fresh) at->second = ask_(arguments, messages);
    return at->second;
  }

  /// An answer that must be one: what was refused is no figure.
  std::string answered(const std::vector<std::string>& arguments, const std::string& format) {
    Said said = answer(arguments, format, false);
    if (said.exit_code == 2) fail(trimmed_message(answer(arguments, format, true).text));
    return said.text;
  }

  static std::string trimmed_message(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.starts_with("kvroof: ") ? text.substr(8) : text;
  }

  void verbatim() {
    do copy();
    while (next_ < lines_.size() && !is_fence(lines_[next_]));
    if (next_ < lines_.size()) copy();
  }

  void console() {
    copy();
    std::size_t start = next_;
    while (next_ < lines_.size() && !is_fence(lines_[next_])) {
      std::optional<std::string> command = prompted(lines_[next_]);
      if (!command) {
        copy();
        continue;
      }
      std::vector<std::string> arguments = words(*command);
      refuse_to_write(arguments);
      std::string text = answer(arguments, "", true).text, before;
      std::size_t at = next_;
      copy();
      while (next_ < lines_.size() && !is_fence(lines_[next_]) && !lines_[next_].starts_with("$ "))
        before += lines_[next_++] + "\n";
      result_.text += text;
      changed(at, "kvroof " + *command, before, text);
    }
    if (next_ == lines_.size()) {
      next_ = start - 1;
      fail("this block is never closed");
    }
    copy();
  }

  void define(const std::string& definition) {
    std::size_t space = std::min(definition.find(' '), definition.size());
    std::string name = definition.substr(1, space - 1);
    if (name.empty() || space == definition.size()) fail("expected $NAME and a command");
    quoted_[name] = words(definition.substr(space + 1));
    refuse_to_write(quoted_[name]);
    copy();
  }

  void block(const std::string& command) {
    std::size_t at = next_, end = next_ + 1;
    while (end < lines_.size() && trimmed(lines_[end]) != end_mark) ++end;
    if (end == lines_.size()) fail(fmt::format("no {} follows", end_mark));
    std::string before, after;
    for (std::size_t i = at + 1; i < end; ++i) before += lines_[i] + "\n";
    std::size_t mark = command.find(" # ");
    std::string bare = command.substr(0, mark);
    std::vector<std::string> arguments = words(bare);
    if (arguments[0] == "chart" && arguments.size() > 1 && arguments[1] != "list")
      after = picture(arguments);
    else
      after = tables(arguments, bare, mark == std::string::npos ? "" : trimmed(command.substr(mark + 3)));
    changed(at, "kvroof " + command, before, after);
    put(lines_[at]);
    result_.text += after;
    next_ = end;
    copy();
  }

  std::string picture(std::vector<std::string> arguments) {
    std::string file = arguments[1] + ".svg";
    auto out = std::find(arguments.begin(), arguments.end(), "-o");
    if (out != arguments.end()) {
      if (out + 1 == arguments.end()) fail("-o: no file follows");
      file = *(out + 1);
      arguments.erase(out, out + 2);
    }
    if (file.find('/') != std::string::npos || !file.ends_with(".svg"))
      fail("-o: '" + file + "' should be an .svg beside the page");
    for (const auto& [name, svg] : result_.charts)
      if (name == file) fail(file + " is drawn twice");
    refuse_to_write(arguments);
    std::string svg = answered(arguments, "svg");
    std::size_t from = svg.find("<title>") + 7, to = svg.find("</title>");
    result_.charts.emplace_back(file, svg);
    return fmt::format("![{}]({})\n", svg.substr(from, to - from), file);
  }

  /// The answer as Markdown, its headings below the page's own.
  std::string tables(const std::vector<std::string>& arguments, const std::string& command,
                     const std::string& section) {
    refuse_to_write(arguments);
    std::string text = "`kvroof " + command + "`\n\n";
    bool shown = section.empty(), found = shown;
    for (const std::string& line : lines_of(answered(arguments, "markdown"))) {
      bool heading = line.starts_with("#");
      if (heading && !section.empty()) {
        shown = trimmed(line.substr(line.find_first_not_of('#'))).starts_with(section);
        found |= shown;
        if (shown) continue;
      }
      if (shown) text += (heading ? std::string(std::size_t(depth_) - 1, '#') : "") + line + "\n";
    }
    if (!found) fail("the answer has no section '" + section + "'");
    while (text.ends_with("\n\n")) text.pop_back();
    std::size_t gap;
    while ((gap = text.find("\n\n\n")) != std::string::npos) text.erase(gap, 1);
    return text;
  }

  double figure(const std::string& name) {
    std::size_t slash = name.find('/');
    auto at = quoted_.find(name.substr(1, slash == std::string::npos ? slash : slash - 1));
    if (!name.starts_with("$") || slash == std::string::npos || at == quoted_.end())
      fail("'" + name + "' is not $NAME/PATH of an answer named above");
    auto [json, fresh] = parsed_.try_emplace(at->first);
    if (fresh) json->second = Json::parse(answered(at->second, "json"), nullptr, false);
    Json::json_pointer pointer;
    try {
      pointer = Json::json_pointer(name.substr(slash));
    } catch (const Json::exception&) { fail("'" + name.substr(slash) + "' is not a path such as /at/0/bytes"); }
    if (!json->second.contains(pointer) || !json->second[pointer].is_number())
      fail("the answer has no number at " + name.substr(slash));
    return json->second[pointer].get<double>();
  }

  /// `$L/at/0/bytes GB`, or `$L/a : $L/b x`.
  std::string quotation(const std::string& wanted) {
    std::vector<std::string> parts;
    for (std::size_t from = 0; from < wanted.size();) {
      std::size_t to = std::min(wanted.find(' ', from), wanted.size());
      if (to > from) parts.push_back(wanted.substr(from, to - from));
      from = to + 1;
    }
    bool quotient = parts.size() == 4 && parts[1] == ":";
    if (parts.size() != 2 && !quotient)
      fail("'" + wanted + "' is not $NAME/PATH UNIT, or $NAME/PATH : $NAME/PATH UNIT");
    double value = figure(parts[0]);
    if (quotient) value /= figure(parts[2]);
    std::string names;
    for (const Unit& unit : units) {
      if (unit.name == parts.back()) return unit.text(value);
      names += (names.empty() ? "" : ", ") + std::string(unit.name);
    }
    fail("'" + parts.back() + "' is not one of " + names);
  }

  void sentence() {
    const std::string& line = lines_[next_];
    if (line.starts_with("#")) depth_ = int(line.find_first_not_of('#'));
    if (trimmed(line).starts_with("<!-- $"))
      fail("a figure can't begin a line: Markdown would take all of the line for HTML");
    std::string text;
    std::size_t from = 0;
    for (std::size_t at; (at = line.find("<!-- $", from)) != std::string::npos;) {
      std::size_t closed = line.find("-->", at), end = line.find(end_mark, at);
      if (closed == std::string::npos || end == std::string::npos)
        fail(fmt::format("no {} follows on this line", end_mark));
      std::string wanted = trimmed(line.substr(at + 5, closed - at - 5));
      std::string before = line.substr(closed + 3, end - closed - 3), after = quotation(wanted);
      changed(next_, wanted, before + "\n", after + "\n");
      text += line.substr(from, closed + 3 - from) + after;
      from = end;
    }
    put(text + line.substr(from));
    ++next_;
  }

  const std::string& page_;
  const Ask& ask_;
  std::vector<std::string> lines_;
  std::size_t next_ = 0;
  int depth_ = 1;  ///< of the last heading
  std::map<std::string, Said> answers_;
  std::map<std::string, std::vector<std::string>> quoted_;
  std::map<std::string, Json> parsed_;
  Rewritten result_;
};

}  // namespace

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t from = 0; from < text.size();) {
    std::size_t to = std::min(text.find('\n', from), text.size());
    lines.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return lines;
}

Rewritten rewritten(const std::string& page, const std::string& text, const Ask& ask) {
  return Rewriter(page, text, ask).run();
}

std::string without_commands(const std::string& text) {
  std::string kept;
  bool fenced = false;
  for (std::string line : lines_of(text)) {
    if (is_fence(line)) fenced = !fenced;
    if (!fenced) {
      bool had = false;
      for (std::size_t at; (at = line.find("<!--")) != std::string::npos; had = true) {
        std::size_t end = line.find("-->", at);
        line.erase(at, end == std::string::npos ? end : end + 3 - at);
      }
      if (had && trimmed(line).empty()) continue;
    }
    kept += line + "\n";
  }
  return kept;
}

}  // namespace kvroof
