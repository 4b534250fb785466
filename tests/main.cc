// The test runner, compiled once. What the program says of bad input is what a test that meets it says.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#include "catalog/suggest.h"

CATCH_TRANSLATE_EXCEPTION(const kvroof::InputError& e) { return e.message; }
