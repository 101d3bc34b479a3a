// What goes wrong with data files. Mistakes in a config are configs::ConfigError; these are about the bytes themselves.
#pragma once

#include "configs/errors.h"

namespace terse::data {

using DataError = configs::CorruptError;
using DiskError = configs::DiskError;

}  // namespace terse::data
