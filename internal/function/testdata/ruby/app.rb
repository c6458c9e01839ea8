require 'greeting'
require 'layered'

def handler(event:, context:)
  raise ArgumentError, 'not this' if event['fail']
  puts "seen #{event['name']}"
  { greeting: Greeting.of(event['name']), layered: LAYERED, gem: Gem.loaded_specs.key?('greeting'), handler: ENV['_HANDLER'] }
end
