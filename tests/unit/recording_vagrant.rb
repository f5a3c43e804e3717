# A stub of Vagrant that writes down what a Vagrantfile tells it, as JSON: ruby recording_vagrant.rb Vagrantfile
require 'json'
require 'pathname'

# Remembers every assignment (`a.b.c = 1` as "b.c"), and every call with its arguments.
class Recorder
  attr_reader :set, :called, :machines, :providers

  def initialize(path = nil, root = nil)
    @path = path
    @root = root || self
    return if root

    @set = {}
    @called = []
    @machines = {}
    @providers = {}
  end

  def method_missing(name, *arguments, **options, &block)
    full = [@path, name].compact.join('.')
    return @root.set[full.delete_suffix('=')] = arguments.first if name.end_with?('=')
    return block.call(@root.machines[arguments.first] = Recorder.new) if name == :define
    return block.call(@root.providers[arguments.first] = Recorder.new) if name == :provider
    return Recorder.new(full, @root) if arguments.empty? && options.empty?

    @root.called << [full, arguments, options]
  end

  def respond_to_missing?(*) = true

  def to_h
    { set: @set, called: @called, machines: @machines.transform_values(&:to_h),
      providers: @providers.transform_values(&:to_h) }
  end
end

module Vagrant
  RECORDED = Recorder.new

  def self.configure(version)
    raise "version #{version}" unless version == '2'

    yield RECORDED
  end

  def self.user_data_path = Pathname.new('/vagrant-home')
end

load File.expand_path(ARGV.fetch(0))
puts JSON.generate(Vagrant::RECORDED.to_h)
