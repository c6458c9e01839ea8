# Stands in for AWS's client where that is not at hand: it starts as that does, and makes the same calls.
require 'json'
require 'net/http'

$stdout.sync = true

module AwsLambdaRIC
  class Bootstrap
    def start
      api = URI("http://#{ENV.fetch('AWS_LAMBDA_RUNTIME_API')}/2018-06-01/runtime/")
      file, method = ARGV[0].split('.')
      begin
        require file
      rescue Exception => e
        Net::HTTP.post(api + 'init/error', JSON.generate(errorMessage: e.message, errorType: "Init<#{e.class}>", stackTrace: []))
        exit(-4)
      end
      loop do
        event = Net::HTTP.get_response(api + 'invocation/next')
        call = api + "invocation/#{event['Lambda-Runtime-Aws-Request-Id']}/"
        begin
          answer = send(method, event: JSON.parse(event.body), context: nil)
          Net::HTTP.post(call + 'response', JSON.generate(answer))
        rescue StandardError => e
          Net::HTTP.post(call + 'error', JSON.generate(errorMessage: e.message, errorType: "Function<#{e.class}>", stackTrace: []))
        end
      end
    end
  end
end
