// Describes a kind of machine for the planner: the compute, the memory and the bandwidth of one rank. The files
// configs/hardware/*.yaml are part of the program. A user's own file is read in the same way.
//
// GB are 10^9 bytes, GiB are 2^30 bytes. All rates are those of one rank, not the sums on a data sheet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace terse::configs {

// One level of the interconnect, described by bandwidth and latency as in an alpha-beta model.
struct Link {
  double gbps = 0;        // GB/s. node: bus bandwidth of a ring in a node; network: of one rank, one way
  double latency_us = 0;  // microseconds per step of a ring
};

struct Hardware {
  std::string name;              // file name without folder and extension
  std::string summary;           // one line for people
  std::string device;            // cuda | cpu: what a rank computes on
  int64_t ranks_per_node = 0;    // default number of ranks of a node
  double memory_gib = 0;         // of one rank
  double reserved_gib = 0;       // part of memory_gib not for tensors: driver, libraries, collective buffers, fragments
  double tflops_bf16 = 0;        // dense peak of one rank
  double tflops_fp32 = 0;        // the same in fp32
  double train_efficiency = 0;   // share of the peak that forward and backward of one rank reach
  double memory_gbps = 0;        // memory bandwidth of one rank, GB/s
  double operation_us = 0;       // host time to start one operation, microseconds
  double decode_efficiency = 0;  // share of memory_gbps that decoding reaches
  Link node;
  Link network;
  double network_share = 0;  // share of network.gbps that collectives reach
  double overlap = 0;        // share of the compute time that can hide communication
  double contention = 0;     // factor by which computing slows down beside communication, at least 1
  double jitter = 0;         // standard deviation of one rank's step, as a share of the step
};

// Loads the description of a machine. `name_or_file` is the name of a machine that comes with the program (h100), or a
// file. Throws ConfigError with every mistake and its place: unknown and missing keys, types, ranges.
Hardware load_hardware(const std::string& name_or_file);
std::vector<std::string> hardware_names();  // names of the machines that come with the program, ascending

// A file of configs/hardware. configs/CMakeLists.txt compiles these files into the program.
struct HardwareFile {
  const char* name;
  const char* text;
};
extern const std::vector<HardwareFile> kHardwareFiles;

}  // namespace terse::configs
